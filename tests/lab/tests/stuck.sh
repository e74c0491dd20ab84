#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# stuck.sh DEVICE: nobody reads the guest's console. The machine must still hear SIGTERM, and its
# time limit.

device=$1
work=/tmp/stuck.$$
mkdir "$work"
mkfifo "$work/pipe"
exec 8<>"$work/pipe"
dd if=/dev/zero of="$work/pipe" bs=4096 count=16 2>/dev/null # full: the next write waits
points=0

check() { # text, command
	points=$((points + 1)) text=$1
	shift
	if "$@"; then echo "ok $points - $text"; else echo "not ok $points - $text"; fi
}
start() { # options of bawn run
	: >"$work/serial"
	bawn run --device "$device" --kernel /lab/guest/vmlinuz --initrd /lab/guest/initrd --memory 256M \
		--serial "file=$work/serial" --console tty "$@" \
		--cmdline "console=ttyS0 console=hvc0 panic=-1 bawn.test=smoke bawn.end=poweroff" \
		</dev/null >"$work/pipe" 2>"$work/err" &
	vmm=$!
}
console_is_up() {
	left=$((1200 * ${LAB_SLOWER:-1}))
	while ! grep -q 'console \[hvc0\] enabled' "$work/serial"; do
		left=$((left - 1))
		[ $left -gt 0 ] && kill -0 "$vmm" 2>/dev/null || return 1
		usleep 50000
	done
}
ends_with() { # status; within 10 s of now
	left=$((200 * ${LAB_SLOWER:-1}))
	while kill -0 "$vmm" 2>/dev/null && [ $left -gt 0 ]; do
		usleep 50000
		left=$((left - 1))
	done
	[ $left -gt 0 ] || kill -9 "$vmm"
	wait "$vmm"
	status=$?
	[ $left -gt 0 ] && [ $status -eq "$1" ] || { echo "# it ended with $status, expected $1"; false; }
}

echo "1..3"
start
check "the console is up" console_is_up
sleep 1
kill "$vmm"
check "SIGTERM ends it" ends_with 143
start --timeout 15
sleep 15
check "the time limit ends it" ends_with 5
sed 's/^/# bawn: /' "$work/err"
exit 0
