#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the tests of Debian's unmodified QEMU share; they read it with `.`. The guest is not trusted:
# every wait has an end. work: a directory of the test's own; the guest's serial port is $work/out
# and descriptor 8, the monitor of the QEMU number $side $work/monitor.$side and $work/command.$side.

qemu=/usr/bin/qemu-system-x86_64
work=/tmp/qemu.$$
mkdir "$work"
mkfifo "$work/tty"
exec 8<>"$work/tty"
: >"$work/out"
: >"$work/err"
vmm=
all=
side=0
points=0

check() { # text, then the command that must succeed
	text=$1
	shift
	points=$((points + 1))
	if "$@"; then echo "ok $points - $text"; else echo "not ok $points - $text"; fi
}

now() { read -r up _ </proc/uptime && echo "${up%.*}"; }
seen() { [ "$(grep -c -- "$2" "$1")" -ge "$3" ]; }
# Looks seldom: each look takes time from the guest, on the one CPU of a host that is emulated.
says() { # file, pattern, seconds, times it must be there
	deadline=$(($(now) + $3 * ${LAB_SLOWER:-1}))
	until seen "$1" "$2" "${4:-1}"; do
		# The end may have come right after it.
		if [ "$(now)" -ge $deadline ] || ! kill -0 "$vmm" 2>/dev/null; then
			seen "$1" "$2" "${4:-1}"
			return
		fi
		usleep 400000
	done
}
wait_for() { says "$work/out" "$@"; } # the guest: pattern, seconds, times
monitor() { # command; then, if given, the pattern of its answer and seconds
	: >"$work/monitor.$side"
	echo "$1" >"$work/command.$side"
	[ $# -eq 1 ] || says "$work/monitor.$side" "$2" "$3"
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

ended() { # the exit code that is right
	wait "$vmm"
	status=$?
	[ "$status" -eq "$1" ] || { echo "# QEMU ended with $status, expected $1"; false; }
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
