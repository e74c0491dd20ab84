#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the lab host, for the demo: runs the confidential guest and passes on what it and bawn run say,
# and, in lines that begin with >, what it writes to its virtio console. The demo puts the guest's
# options in the place of @VM@, and the digest that its launch must have in that of @DIGEST@.
echo 1..1
{
	bawn run --device "$1" --tee snp --firmware /lab/shim.bin --kernel /lab/guest/vmlinuz \
		--initrd /lab/guest/initrd --console file=/tmp/console --certs /run/platform/certs.bin \
		--expect-measurement @DIGEST@ @VM@ 2>&1
	echo $? >/tmp/status
} | tr -d '\r' | sed 's/^/| /'
tr -d '\r' </tmp/console | sed 's/^/> /'
if [ "$(cat /tmp/status)" = 0 ]; then
	echo "ok 1 - the guest powered off"
else
	echo "not ok 1 - bawn run ended with $(cat /tmp/status)"
fi
