#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the lab host, for the demo: two confidential guests, and the way from their vsock to the
# attestation service. The demo puts values in the places between @.
# needs-network
# needs: /usr/bin/socat
# needs-as: @HERE@/disk.luks disk.luks
# needs-as: @HERE@/initrd initrd
# needs-as: @HERE@/initrd-changed initrd-changed
echo 1..2

# The host carries ciphertext only: TLS ends in the guest and in the service.
/usr/bin/socat UNIX-LISTEN:/tmp/vsock_8443,fork TCP:10.0.2.2:@PORT@ &
relay=$!

guest() { # initrd
	{
		bawn run --device "$device" --tee snp --firmware /lab/shim.bin --kernel /lab/guest/vmlinuz \
			--initrd "$1" --certs /run/platform/certs.bin --disk path=/lab/disk.luks \
			--vsock cid=3,socket=/tmp/vsock @VM@ 2>&1 </dev/null
		echo $? >/tmp/status
	} | tr -d '\r' | tee /tmp/said | sed 's/^/| /'
	[ "$(cat /tmp/status)" = 0 ]
}

device=$1
echo "= The configured guest"
if guest /lab/initrd && grep -q "guest: unlock ok" /tmp/said; then
	echo "ok 1 - the guest has its disk"
else
	echo "not ok 1 - the guest did not get its disk: bawn run ended with status $(cat /tmp/status)"
fi
echo "= The same guest with one byte of its initrd changed"
if guest /lab/initrd-changed && grep -q "guest: unlock FAIL" /tmp/said && ! grep -q "reads:" /tmp/said; then
	echo "ok 2 - the guest with another initrd was denied"
else
	echo "not ok 2 - another initrd made no difference"
fi
kill $relay
