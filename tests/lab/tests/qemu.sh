#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# qemu.sh DEVICE WHAT: boots an unmodified Debian kernel with Debian's unmodified QEMU, which opens
# /dev/kvm, through the machine's firmware.
# needs: /usr/bin/qemu-system-x86_64 /usr/bin/setpriv
# needs: /usr/share/seabios/bios-256k.bin /usr/share/seabios/bios-microvm.bin
# needs: /usr/share/qemu/linuxboot_dma.bin /usr/share/qemu/kvmvapic.bin

. /lab/tests/qemu_common.sh
skip_without "$qemu"
q35=q35,kernel-irqchip=split
cmdline="console=ttyS0 panic=-1 bawn.end=poweroff"

ends_well() {
	check "power-off ends QEMU with 0" ended 0
	check "QEMU has nothing to complain of" no_complaints
}

microvm() {
	echo 1..6
	start_qemu -m 256M -machine microvm,kernel-irqchip=split -device virtio-rng-device \
		-kernel /lab/guest/vmlinuz -initrd /lab/guest/initrd -append "$cmdline bawn.test=smoke,rng"
	check "init runs" wait_for '^guest: up' 110
	check "the CPU is up" wait_for "^guest: smoke ok .*cpus=1 " 20
	check "virtio-rng serves" wait_for '^guest: rng ok virtio' 20
	check "the guest's kernel has nothing to complain of" wait_for "^guest: kernel-log ok" 20
	ends_well
}

# From a disk: SeaBIOS reads GRUB, GRUB reads the kernel by the BIOS's calls and enters it in real mode.
disk() {
	skip_without /lab/guest/grub.img
	echo 1..12
	dd if=/dev/urandom of="$work/a" bs=1M count=8 2>/dev/null
	dd if=/dev/urandom of="$work/b" bs=1M count=8 2>/dev/null
	a=$(sha256sum <"$work/a") b=$(sha256sum <"$work/b")
	{ cat /lab/guest/grub.img && tar -c -C /lab/guest vmlinuz initrd; } >"$work/disk"
	truncate -s 33M "$work/disk"
	ifconfig lo up # QEMU's network reaches its helper by it
	start_qemu -m 256M -smp 4 -machine $q35 -drive "file=$work/disk,format=raw,if=ide" \
		-drive "file=$work/a,format=raw,if=none,id=a" -device virtio-blk-pci,drive=a \
		-drive "file=$work/b,format=raw,if=none,id=b,readonly=on" -device virtio-blk-pci,drive=b \
		-netdev user,id=net,guestfwd=tcp:10.0.2.100:7-cmd:/bin/cat \
		-device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci
	check "GRUB's shell, from the disk" wait_for 'grub>' 60
	types 'sha256sum (hd0,msdos1)/initrd'
	sum=$(sha256sum </lab/guest/initrd)
	check "GRUB reads the disk rightly" wait_for "${sum%% *}" 60
	types "linux16 (hd0,msdos1)/vmlinuz $cmdline bawn.test=smoke,rng,net,disk"
	types 'initrd16 (hd0,msdos1)/initrd'
	types boot
	check "init runs" wait_for '^guest: up' 110
	check "4 CPUs are up" wait_for "^guest: smoke ok .*cpus=4 " 20
	check "virtio-rng serves" wait_for '^guest: rng ok virtio' 20
	check "what goes over virtio-net comes back" wait_for '^guest: net ok' 60
	check "the guest reads both of its virtio-blk disks" wait_for "^guest: vdb holds $b" 60
	check "what it writes comes back" wait_for '^guest: disk ok 16384' 60
	check "the guest's kernel has nothing to complain of" wait_for "^guest: kernel-log ok" 20
	ends_well
	wrote=$(tr -d '\r' <"$work/out" | sed -n 's/^guest: wrote //p')
	check "all of it stands in the files" [ "$(grep -c "^guest: vda holds $a" "$work/out")/$wrote/$b" = \
		"1/$(sha256sum <"$work/a")/$(sha256sum <"$work/b")" ]
}

completes() { kill -0 "$vmm" && monitor "info migrate" 'status: completed' 1; }
completed() { # seconds
	until_true "$1" completes || return
	grep -i -e 'total time' -e downtime -e 'dirty sync count' "$work/monitor.$side" | tr -d '\r' | sed 's/^/# /'
}
hop() { # options: to another QEMU, which then is the one
	old=$vmm old_side=$side
	start_qemu "$@" -incoming "unix:$work/socket"
	new=$vmm new_side=$side
	until_true 10 [ -S "$work/socket" ]
	vmm=$old side=$old_side
	monitor "migrate -d unix:$work/socket"
	completed 60 && monitor quit && ended 0 || return
	vmm=$new side=$new_side
	rm -f "$work/socket"
	monitor "info status" 'VM status: running' 20
}

# The guest writes memory all the time, and knows in the end what should be there. It is not asked for
# its kernel's log: QEMU counts the way as time for kvmclock and not for the TSC, of which the guest's
# clocksource watchdog complains, on stock KVM as well.
migrate() { # how often
	times=$1
	skip_without /lab/guest/empty.qcow2
	cp /lab/guest/empty.qcow2 "$work/qcow2"
	set -- -m 256M -smp 2 -machine $q35 -device virtio-rng-pci -drive "file=$work/qcow2,if=virtio" \
		-kernel /lab/guest/vmlinuz -initrd /lab/guest/initrd \
		-append "$cmdline bawn.test=pages bawn.seconds=900"
	echo 1..$((7 + times))
	start_qemu "$@"
	check "the guest begins its work" wait_for '^guest: pages, second 3\.' 110
	monitor "savevm before"
	check "savevm" monitor "info snapshots" '^-- *before ' 60
	check "it goes on" wait_for '^guest: pages, second 8\.' 60
	monitor "loadvm before"
	check "loadvm: it does the same again" wait_for '^guest: pages, second 8\.' 60 2
	for n in $(seq "$times"); do
		check "while it writes, it moves to another QEMU ($n)" hop "$@"
	done
	types enough
	check "all of its memory is as it should be" wait_for '^guest: pages ok' 60
	ends_well
}

# A test that outlives its time is killed, and cannot end what it has started.
killed() {
	echo 1..2
	(start_qemu -machine $q35 -S && echo $vmm >"$work/pid" && while :; do sleep 1; done) &
	vmm=$!
	check "QEMU has begun" file_says "$work/monitor.1" '(qemu)' 40
	read -r all <"$work/pid"
	kill -KILL $vmm
	check "it ends with the script that started it" until_true 10 [ ! -e "/proc/$all/exe" ]
}

case $2 in
killed) killed ;;
microvm) microvm ;;
disk) disk ;;
migrate) migrate "$3" ;;
*) echo "1..0 # qemu.sh: '$2' is none of killed microvm disk migrate" ;;
esac
finish '^guest: kernel-log'
