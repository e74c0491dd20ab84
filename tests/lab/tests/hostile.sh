#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hostile.sh DEVICE: boots a guest that attacks the VMM (tests/lab/hostile) and nothing else. What it
# does is its own problem: the machine, its devices and their processes go on, and others hear
# nothing of it.
# needs-module: tun

device=$1
work=/tmp/hostile.$$
attacks=28 # of tests/lab/hostile
mkdir "$work"
points=0

check() { # text, command
	points=$((points + 1)) text=$1
	shift
	if "$@"; then echo "ok $points - $text"; else echo "not ok $points - $text"; fi
}
ended() { # within the time that the list gives it; with 0
	left=$((4000 * ${LAB_SLOWER:-1}))
	while kill -0 "$vmm" 2>/dev/null && [ $left -gt 0 ]; do
		usleep 50000
		left=$((left - 1))
	done
	[ $left -gt 0 ] || kill -9 "$vmm"
	wait "$vmm"
	status=$?
	[ $left -gt 0 ] && [ $status -eq 0 ] || { echo "# it ended with $status"; false; }
}

echo "1..$((attacks + 4))"
for ko in $(cat /lab/modules/tun.list); do
	[ -d "/sys/module/${ko%.ko}" ] || insmod "/lab/modules/$ko"
done
dd if=/dev/urandom of="$work/disk" bs=1M count=1 2>/dev/null
cp "$work/disk" "$work/other"
was=$(sha256sum <"$work/other")
bawn run --device "$device" --kernel /lab/guest/hostile.elf --memory 64M --timeout 250 --rng on \
	--disk "path=$work/disk" --disk "path=$work/other,readonly=on" --net tap=lab0 --console null \
	--vsock "cid=3,socket=$work/vsock" --balloon size=0 --hotplug on \
	</dev/null >"$work/out" 2>"$work/err" &
vmm=$!
ended
ended=$?
check "the machine outlives them all, and powers off" [ $ended -eq 0 ]
check "there was every device to be attacked" grep -q '^hostile: devices 7' "$work/out"
while read -r _ verdict text; do
	[ "$verdict" = devices ] || check "$text" [ "$verdict" = ok ]
done <"$work/out"
check "no device's process died" sh -c "! grep -q \"'s process\" '$work/err'"
check "a disk that may only be read is as it was" [ "$(sha256sum <"$work/other")" = "$was" ]
sed 's/^/# bawn: /' "$work/err"
