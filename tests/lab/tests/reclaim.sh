#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# reclaim.sh DEVICE: gives the lab host swap, a file system and control groups, and runs
# memory_reclaim there. Swap and file system are in compressed memory.
# needs-module: zram

for ko in $(cat /lab/modules/zram.list); do
	[ -d "/sys/module/${ko%.ko}" ] || insmod "/lab/modules/$ko" $([ "$ko" != zram.ko ] || echo num_devices=2)
done
mkdir -p /run/cgroup /run/disk
echo 512M >/sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null && swapon /dev/zram0
echo 64M >/sys/block/zram1/disksize && mke2fs -b 4096 /dev/zram1 >/dev/null && mount /dev/zram1 /run/disk
mount -t cgroup2 cgroup /run/cgroup && echo +memory >/run/cgroup/cgroup.subtree_control

/lab/tests/memory_reclaim "$1"
status=$?

umount /run/disk
rmdir /run/cgroup/* 2>/dev/null
umount /run/cgroup
swapoff /dev/zram0
rmmod zram
exit $status
