#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# reclaim.sh DEVICE [LIMIT PROGRAM ARGUMENT...]: gives the lab host swap, a file system and control
# groups, and runs memory_reclaim there, or the program given, in a group that may have LIMIT of
# memory. Swap and file system are in compressed memory.
# needs-module: zram

for ko in $(cat /lab/modules/zram.list); do
	[ -d "/sys/module/${ko%.ko}" ] || insmod "/lab/modules/$ko" $([ "$ko" != zram.ko ] || echo num_devices=2)
done
if [ ! -e /sys/block/zram1 ]; then
	echo "1..0 # SKIP no compressed memory"
	exit 0
fi
mkdir -p /run/cgroup /run/disk
echo 512M >/sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null && swapon /dev/zram0
echo 64M >/sys/block/zram1/disksize && mke2fs -b 4096 /dev/zram1 >/dev/null && mount /dev/zram1 /run/disk
mount -t cgroup2 cgroup /run/cgroup && echo +memory >/run/cgroup/cgroup.subtree_control

if [ $# -gt 2 ]; then
	device=$1 limit=$2 program=$3
	shift 3
	mkdir /run/cgroup/limited && echo "$limit" >/run/cgroup/limited/memory.max
	sh -c 'echo $$ >/run/cgroup/limited/cgroup.procs; exec "$@"' - "/lab/tests/$program" "$device" "$@"
	status=$?
	sed 's/^/# /' /run/cgroup/limited/memory.events
else
	/lab/tests/memory_reclaim "$1"
	status=$?
fi

umount /run/disk
rmdir /run/cgroup/* 2>/dev/null
umount /run/cgroup
swapoff /dev/zram0
rmmod zram
exit $status
