#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the tests in shell share; they read it with `.`. A machine under test is not trusted: every wait
# has an end. work: a directory of the test's own; $work/out is what the guest says, $work/err what
# bawn does, vmm its process.

# shellcheck disable=SC2034 # those who read this use what they need
device=$1
work=/tmp/$(basename "$0" .sh).$$
mkdir "$work"
: >"$work/out"
: >"$work/err"
points=0
tick=100 # milliseconds between two looks

without_first() { shift && "$@"; }
check() { # text, then the command that must succeed
	points=$((points + 1))
	if without_first "$@"; then echo "ok $points - $1"; else echo "not ok $points - $1"; fi
}
until_true() { # seconds, the command, which may wait itself
	looks=$(($1 * 1000 / tick * ${LAB_SLOWER:-1}))
	shift
	set -- $looks "$@"
	until without_first "$@"; do
		looks=$(($1 - 1))
		[ $looks -gt 0 ] || return 1
		shift
		set -- $looks "$@"
		usleep $((tick * 1000))
	done
}
seen() { # pattern, file, times
	lines=$(grep -c -- "$1" "$2" 2>/dev/null)
	[ "${lines:-0}" -ge "${3:-1}" ]
}
seen_or_ended() { seen "$@" || ! kill -0 "$vmm" 2>/dev/null; }
file_says() { # file, pattern, seconds, times
	until_true "$3" seen_or_ended "$2" "$1" "${4:-1}" && seen "$2" "$1" "${4:-1}"
}
wait_for() { file_says "$work/out" "$@"; } # the guest: pattern, seconds, times
ended() { # the exit code that is right
	wait "$vmm"
	status=$?
	[ $status = "$1" ] || { echo "# it ended with $status, expected $1"; false; }
}
insert() { # modules of the host, with those they need
	for list in "$@"; do
		for ko in $(cat "/lab/modules/$list.list"); do
			[ -d "/sys/module/${ko%.ko}" ] || insmod "/lab/modules/$ko"
		done
	done
}
# What a test shows in the end: what bawn said, and the guest; without its signs of life.
show() {
	sed 's/^/# bawn: /' "$work/err"
	tr -d '\r' <"$work/out" | grep '^guest:' | grep -v -e 'guest: tick' -e 'guest: count' | sed 's/^/# /'
}
