#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# stuck.sh DEVICE: nobody reads the guest's console. The machine must still hear SIGTERM, and its
# time limit.

. /lab/tests/common.sh
mkfifo "$work/pipe"
exec 8<>"$work/pipe"
dd if=/dev/zero of="$work/pipe" bs=4096 count=16 2>/dev/null # full: the next write waits

start() { # options of bawn run
	: >"$work/serial"
	bawn run --device "$device" --kernel /lab/guest/vmlinuz --initrd /lab/guest/initrd --memory 256M \
		--serial "file=$work/serial" --console tty "$@" \
		--cmdline "console=ttyS0 console=hvc0 panic=-1 bawn.test=smoke bawn.end=poweroff" \
		</dev/null >"$work/pipe" 2>"$work/err" &
	vmm=$!
}

has_ended() { ! kill -0 "$vmm" 2>/dev/null; }
ends_with() { # status; within 10 s of now
	until_true 10 has_ended || kill -9 "$vmm"
	ended "$1"
}

echo "1..3"
start
check "the console is up" until_true 60 seen 'console \[hvc0\] enabled' "$work/serial"
sleep 1
kill "$vmm"
check "SIGTERM ends it" ends_with 143
start --timeout 15
sleep 15
check "the time limit ends it" ends_with 5
sed 's/^/# bawn: /' "$work/err"
exit 0
