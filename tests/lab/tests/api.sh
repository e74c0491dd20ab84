#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# api.sh DEVICE: a Debian guest that is made, booted, paused, snapshotted, resumed and asked to power off
# through the API that libvirt and Kata speak, by curl and by the subcommands.
# needs: /usr/bin/curl

PATH=$PATH:/usr/bin
work=/tmp/api.$$
mkdir "$work"
: >"$work/out"
points=0
patience=200

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
call() { # the status that is right, method, call, body
	status=$(curl -sS -o "$work/answer" -w '%{http_code}' --unix-socket "$work/api" -X "$2" ${4:+-d "$4"} \
		"http://localhost/api/v1/$3")
	[ "$status" = "$1" ] || { echo "# $3: $status $(cat "$work/answer")"; false; }
}
state() { call 200 GET vm.info && grep -q "\"state\":\"$1\"" "$work/answer"; }
ticks() { grep -c 'guest: tick' "$work/out"; }
stands_still() {
	sleep 1 # what was written before
	before=$(ticks)
	sleep 5
	[ "$(ticks)" = "$before" ]
}
goes_on() {
	before=$(ticks) left=600
	until [ "$(ticks)" -gt $((before + 1)) ]; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		usleep 50000
	done
}
ask() { bawn "$1" --api-socket "$work/api" >"$work/said" 2>&1 || { sed 's/^/# /' "$work/said"; false; }; }
events_are() { [ "$(sed -n 's/.*"source":"\([a-z]*\)","event":"\([a-z]*\)".*/\1:\2/p' "$work/events" | tr '\n' ' ')" = "$1 " ]; }

echo 1..15
ln -s "$(command -v bawn)" "$work/cloud-hypervisor"
head -c 32 /dev/urandom >"$work/key"
BAWN_SNAPSHOT_KEY="$work/key" "$work/cloud-hypervisor" --api-socket "path=$work/api" --event-monitor "path=$work/events" 2>"$work/err" &
vmm=$!
left=200
until [ -S "$work/api" ] || [ $left = 0 ]; do
	left=$((left - 1))
	usleep 50000
done
check "a machine is made" call 204 PUT vm.create '{"serial":{"mode":"File","file":"'"$work/out"'"},
	"cpus":{"boot_vcpus":1,"max_vcpus":1},"memory":{"size":268435456},
	"payload":{"kernel":"/lab/guest/vmlinuz","initramfs":"/lab/guest/initrd",
	"cmdline":"console=ttyS0 panic=-1 bawn.test=button bawn.end=poweroff"}}'
check "and boots" call 204 PUT vm.boot
check "the guest waits for its power button" wait_for 'guest: button waits' $patience
check "it is paused" call 204 PUT vm.pause
check "and says so" state Paused
check "and stands still" stands_still
check "a snapshot is made of it" call 204 PUT vm.snapshot "{\"destination_url\":\"file://$work/snap\"}"
check "it resumes" call 204 PUT vm.resume
check "and goes on" goes_on
check "bawn pause" ask pause
check "bawn resume" ask resume
check "the guest goes on" goes_on
check "bawn power-button" ask power-button
check "the guest powers off by itself" wait_for 'guest: button ok' 60
wait "$vmm"
status=$?
check "and the program ends, with all events told" events_are "vmm:starting vm:booting vm:booted vm:pausing \
vm:paused vm:snapshotting vm:snapshotted vm:resuming vm:resumed vm:pausing vm:paused vm:resuming \
vm:resumed vm:shutdown vmm:shutdown"
echo "# it ended with $status"
sed 's/^/# bawn: /' "$work/err"
tr -d '\r' <"$work/out" | grep '^guest:' | grep -v tick | sed 's/^/# /'
kill "$vmm" 2>/dev/null
exit 0
