#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# qemu.sh DEVICE WHAT: boots an unmodified Debian kernel with Debian's unmodified QEMU, which opens
# /dev/kvm, through the machine's firmware. The guest is not trusted: every wait has an end.
# needs: /usr/bin/qemu-system-x86_64
# needs: /usr/share/seabios/bios-256k.bin /usr/share/seabios/bios-microvm.bin
# needs: /usr/share/qemu/linuxboot_dma.bin /usr/share/qemu/kvmvapic.bin

what=$2
qemu=/usr/bin/qemu-system-x86_64
work=/tmp/qemu.$$
mkdir "$work"
mkfifo "$work/in"
: >"$work/err"
points=0

check() { # text, then the command that must succeed
	text=$1
	shift
	points=$((points + 1))
	if "$@"; then echo "ok $points - $text"; else echo "not ok $points - $text"; fi
}

wait_for() { # pattern, seconds
	left=$(($2 * 20 * ${LAB_SLOWER:-1}))
	until grep -q -- "$1" "$work/out"; do
		left=$((left - 1))
		[ $left -gt 0 ] && kill -0 "$vmm" 2>/dev/null || return 1
		usleep 50000
	done
}

start() { # guest's tests, options of QEMU
	tests=$1
	shift
	: >"$work/out"
	$qemu -accel kvm -cpu host -m 256M -nodefaults -no-user-config -display none -no-reboot \
		-serial "file:$work/out" -monitor stdio \
		-kernel /lab/guest/vmlinuz -initrd /lab/guest/initrd \
		-append "console=ttyS0 panic=-1 bawn.test=$tests bawn.end=poweroff" "$@" \
		<"$work/in" >"$work/monitor" 2>>"$work/err" &
	vmm=$!
	exec 9>"$work/in"
}

ended() { # the exit code that is right
	wait "$vmm"
	status=$?
	exec 9>&-
	[ "$status" -eq "$1" ] || { echo "# QEMU ended with $status, expected $1"; false; }
}

# What it says of a host that has one CPU, as the lab's has, is so on stock KVM too.
no_complaints() { ! grep -qv -e 'requested feature: .*cmp-legacy' -e 'recommended cpus' "$work/err"; }

boot() { # CPUs, options of QEMU
	cpus=$1
	shift
	echo 1..6
	start smoke,rng -smp "$cpus" "$@"
	check "init runs" wait_for '^guest: up' 110
	check "$cpus CPUs are up" wait_for "^guest: smoke ok .*cpus=$cpus " 20
	check "virtio-rng serves" wait_for '^guest: rng ok virtio' 20
	check "the guest's kernel has nothing to complain of" wait_for "^guest: kernel-log ok" 20
	check "power-off ends QEMU with 0" ended 0
	check "QEMU has nothing to complain of" no_complaints
}

# Not asked for its kernel's log: QEMU counts the way as time for kvmclock and not for the TSC, of
# which the guest's clocksource watchdog complains, on stock KVM as well.
migrate() { # options of QEMU
	echo 1..6
	start smoke,stress "$@"
	check "the guest begins its work" wait_for '^guest: smoke ok' 110
	sleep 3
	echo "migrate file:$work/state" >&9
	echo quit >&9
	check "QEMU leaves the guest in a file" ended 0
	start none "$@" -incoming "file:$work/state"
	check "the guest ends its work in another QEMU" wait_for '^guest: stress ok' 60
	check "it goes on to its end" wait_for '^guest: kernel-log' 20
	check "power-off ends QEMU with 0" ended 0
	check "QEMU has nothing to complain of" no_complaints
}

if [ ! -x $qemu ]; then
	echo 1..1
	echo "ok 1 - # SKIP there is no $qemu where the lab runs"
	exit 0
fi
trap '' PIPE
case $what in
microvm) boot 1 -machine microvm,kernel-irqchip=split -device virtio-rng-device ;;
q35) boot 2 -machine q35,kernel-irqchip=split -device virtio-rng-pci ;;
migrate) migrate -smp 2 -machine q35,kernel-irqchip=split -device virtio-rng-pci ;;
*) echo "1..0 # qemu.sh: '$what' is none of microvm q35 migrate" ;;
esac
tr -d '\r' <"$work/out" >"$work/text"
sed 's/^/# /' "$work/err"
grep '^guest:' "$work/text" | sed 's/^/# /'
grep -q '^guest: kernel-log' "$work/text" || tail -n 20 "$work/text" | sed 's/^/# console: /'
kill "$vmm" 2>/dev/null
rm -f "$work/state"
exit 0
