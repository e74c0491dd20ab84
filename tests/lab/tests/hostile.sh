#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hostile.sh DEVICE: boots a guest that attacks the VMM (tests/lab/hostile) and nothing else. What it
# does is its own problem: the machine, its devices and their processes go on, and others hear
# nothing of it.
# needs-module: tun

. /lab/tests/common.sh
echo 1..32 # 28 attacks, and what is said of all
insert tun
dd if=/dev/urandom of="$work/disk" bs=1M count=1 2>/dev/null
cp "$work/disk" "$work/other"
was=$(sha256sum <"$work/other")
bawn run --device "$device" --kernel /lab/guest/hostile.elf --memory 64M --timeout 250 --rng on \
	--disk "path=$work/disk" --disk "path=$work/other,readonly=on" --net tap=lab0 --console null \
	--vsock "cid=3,socket=$work/vsock" --balloon size=0 --hotplug on \
	</dev/null >"$work/out" 2>"$work/err" &
vmm=$!
check "the machine outlives them all, and powers off" ended 0
check "there was every device to be attacked" grep -q '^hostile: devices 7' "$work/out"
while read -r _ verdict text; do
	[ "$verdict" = devices ] || check "$text" [ "$verdict" = ok ]
done <"$work/out"
check "no device's process died" sh -c "! grep -q \"'s process\" '$work/err'"
check "a disk that may only be read is as it was" [ "$(sha256sum <"$work/other")" = "$was" ]
sed 's/^/# bawn: /' "$work/err"
