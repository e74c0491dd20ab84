#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the tests of Debian's unmodified QEMU share; they read it with `.`. The guest is not trusted:
# every wait has an end. The guest's serial port is $work/out and descriptor 8, the monitor of the QEMU
# number $side $work/monitor.$side and $work/command.$side.

. /lab/tests/common.sh
qemu=/usr/bin/qemu-system-x86_64
mkfifo "$work/tty"
exec 8<>"$work/tty"
vmm=
all=
side=0
tick=400 # each look takes time from the guest, on the one CPU of a host that is emulated

monitor() { # command; then, if given, the pattern of its answer and seconds
	: >"$work/monitor.$side"
	echo "$1" >"$work/command.$side"
	[ $# -eq 1 ] || file_says "$work/monitor.$side" "$2" "$3"
}
types() { printf '%s\r' "$1" >&8; } # a line, at the guest's serial port

# A script that is killed, as at its time limit, leaves no QEMU: the kernel ends it with its parent.
start_qemu() { # options
	side=$((side + 1))
	mkfifo "$work/command.$side"
	: >"$work/monitor.$side"
	/usr/bin/setpriv --pdeathsig KILL $qemu -accel kvm -cpu host -nodefaults -no-user-config \
		-display none -no-reboot \
		-chardev "file,id=tty,path=$work/out,append=on,input-path=$work/tty" -serial chardev:tty \
		-monitor stdio "$@" 0<>"$work/command.$side" >>"$work/monitor.$side" 2>>"$work/err" &
	vmm=$!
	all="$all $vmm"
}

# What it says of a host that has one CPU, as the lab's has, is so on stock KVM too.
no_complaints() {
	! grep -qv -e 'requested feature: .*cmp-legacy' -e 'recommended cpus' -e 'terminating on signal' "$work/err"
}

skip_without() { # files: the test has nothing to show where one is not there
	for file; do
		[ -e "$file" ] && continue
		echo 1..1
		echo "ok 1 - # SKIP there is no $file where the lab runs"
		exit 0
	done
}

finish() { # pattern of the guest's that means success: without it, its last words are shown
	tr -d '\r' <"$work/out" >"$work/text"
	sed 's/^/# /' "$work/err"
	grep '^guest:' "$work/text" | sed 's/^/# /'
	grep -q -- "$1" "$work/text" || tail -n 20 "$work/text" | cat -v | sed 's/^/# console: /'
	kill -KILL $all 2>/dev/null
	wait $all
	rm -rf "$work"
	exit 0
}

trap '' PIPE
