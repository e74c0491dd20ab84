#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the lab host, on stock KVM: one guest (1 vCPU, 128 MiB, a disk, a network card) first with `bawn run`,
# then with QEMU's microvm: what each costs. The kernel's tracepoints count, and the same for both.
# Prints "RESULT VMM NAME FIGURE".
# needs: /usr/bin/qemu-system-x86_64
# needs: /usr/share/seabios/bios-microvm.bin /usr/share/qemu/linuxboot_dma.bin
# needs-module: tun

requests=1000
work=/tmp/vmm
events=/sys/kernel/tracing/events
mkdir -p $work
mount -t tracefs trace /sys/kernel/tracing 2>/dev/null
for ko in $(cat /lab/modules/kvm.list /lab/modules/tun.list); do
	[ -d "/sys/module/${ko%.ko}" ] || insmod "/lab/modules/$ko"
done

says() { # pattern, seconds
	left=$(($2 * 10))
	until grep -q -- "$1" $work/out; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		usleep 100000
	done
}

count() { # "on" or "off"
	not=
	[ "$1" = on ] || not=!
	for event in kvm/kvm_exit kvm/kvm_userspace_exit raw_syscalls/sys_enter; do
		echo "${not}hist:keys=common_pid" >"$events/$event/trigger"
	done
}
hits() { # event, thread ids: how often it happened in them
	event=$1
	shift
	awk -v ids=" $* " '/^[{] common_pid:/ { pid = $3; sub("}", "", pid); hits = $NF
		if (index(ids, " " pid " ")) sum += hits } END { print sum + 0 }' "$events/$event/hist"
}

family() { # a process: it and its children
	echo "$1"
	cat /proc/"$1"/task/*/children
}
threads() { # processes
	for pid; do ls "/proc/$pid/task"; done | tr '\n' ' '
}
# KiB that these processes have beside guest memory, which is a file without a name; pages that several
# have count once.
pss() {
	for pid; do cat "/proc/$pid/smaps"; done |
		awk '/^[0-9a-f]+-[0-9a-f]+ / { guest = /rw-s .*[(]deleted[)]/ } /^Pss:/ && !guest { sum += $2 } END { print sum }'
}

result() { echo "RESULT $vmm $1 $2"; }

measure() { # VMM, its command and arguments
	vmm=$1
	shift
	rm -f $work/out $work/in
	: >$work/out
	mkfifo $work/in
	exec 8<>$work/in
	count on
	"$@" <$work/in >$work/out 2>$work/err &
	main=$!
	says 'guest: say something' 120 || { tail -n 20 $work/out $work/err; return 1; }
	processes=$(family $main | tr '\n' ' ')
	# shellcheck disable=SC2086 # these are lists
	{
		ids=$(threads $processes)
		kvm_exits=$(hits kvm/kvm_exit $ids)
		user_exits=$(hits kvm/kvm_userspace_exit $ids)
		for id in $ids; do
			[ "$(hits kvm/kvm_userspace_exit "$id")" -eq 0 ] || calls=$(hits raw_syscalls/sys_enter "$id")
		done
		result "exits to userland" "$kvm_exits"
		result "of them to the VMM" "$user_exits"
		result "system calls of the vCPU's thread" "$calls"
		result "processes" "$(echo $processes | wc -w)"
		memory=$(pss $processes)
		result "memory beside the guest's, KiB" "$memory"
		count off
		count on
		echo >&8
		says 'guest: blocks ok' 60 || { tail -n 20 $work/out; return 1; }
		result "exits per block request" "$(per $(hits kvm/kvm_exit $ids))"
		result "system calls per block request" "$(per $(hits raw_syscalls/sys_enter $(threads $processes)))"
	}
	count off
	result "size of the program, KiB" "$(($(wc -c <"$(which "$1")") / 1024))"
	kill $main
	wait $main
	exec 8<&-
	return 0
}
per() { awk -v n="$1" -v of=$requests 'BEGIN { printf "%.2f\n", n / of }'; }

check() { # text, then the command that must succeed
	text=$1
	points=$((points + 1))
	shift
	if "$@"; then echo "ok $points - $text"; else echo "not ok $points - $text"; fi
}

points=0
echo 1..4
dd if=/dev/zero of=$work/disk bs=1M count=8 2>/dev/null
cmdline="console=ttyS0 quiet panic=-1 bawn.test=blocks bawn.end=none"
with_disk() { # VMM, options of its disk
	measure "$1" bawn run --accel kvm --device /dev/kvm --quiet --cpus 1 --memory 128M --rng off \
		--disk "path=$work/disk$2" --net tap=bawn0 --kernel /lab/guest/vmlinuz --initrd /lab/guest/initrd \
		--cmdline "$cmdline"
}
check "bawn run" with_disk bawn ""
check "its processes have at most 1.5 MiB beside the guest's memory" [ "$memory" -le 1536 ]
check "bawn run, with a ring" with_disk ring ,io_uring=on
check "QEMU microvm" measure qemu /usr/bin/qemu-system-x86_64 -accel kvm -cpu host -nodefaults -no-user-config \
	-display none -no-reboot -machine microvm,kernel-irqchip=split,memory-backend=ram,rtc=off,pit=off,pic=off \
	-object memory-backend-memfd,id=ram,size=128M -m 128M -chardev stdio,id=tty,signal=off -serial chardev:tty \
	-drive file=$work/disk,format=raw,if=none,id=disk -device virtio-blk-device,drive=disk \
	-netdev tap,id=net,ifname=qemu0,script=no,downscript=no -device virtio-net-device,netdev=net \
	-kernel /lab/guest/vmlinuz -initrd /lab/guest/initrd -append "$cmdline"
