#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# suspend.sh DEVICE: the host sleeps (S3) while a guest runs, its alarm clock wakes it, and the guest
# goes on as if nothing had been.

. /lab/tests/common.sh

if ! grep -qw mem /sys/power/state || [ ! -e /sys/class/rtc/rtc0/wakealarm ]; then
	echo "1..0 # SKIP this host cannot sleep or cannot wake itself"
	exit 0
fi
sleeps() {
	dmesg -c >/dev/null
	echo 0 >/sys/class/rtc/rtc0/wakealarm
	echo +3 >/sys/class/rtc/rtc0/wakealarm
	echo mem >/sys/power/state
	dmesg | grep -q "PM: suspend exit"
}

echo "1..4"
bawn run --device "$device" --kernel /lab/guest/vmlinuz --initrd /lab/guest/initrd --memory 256M \
	--cmdline "console=ttyS0 panic=-1 bawn.test=smoke,clock bawn.end=poweroff bawn.seconds=8" \
	</dev/null >"$work/out" 2>"$work/err" &
vmm=$!
check "the guest runs" wait_for '^guest: clock start' 120
check "the host sleeps and wakes" sleeps
check "the guest goes on" wait_for '^guest: clock stop' 120
check "and ends in order" ended 0
show
kill "$vmm" 2>/dev/null
exit 0
