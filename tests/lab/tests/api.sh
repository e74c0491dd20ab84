#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# api.sh DEVICE: a Debian guest that is made, booted, paused, snapshotted, resumed and asked to power off
# through the API that libvirt and Kata speak, by curl and by the subcommands.
# needs: /usr/bin/curl

. /lab/tests/common.sh
PATH=$PATH:/usr/bin
patience=200

call() { # the status that is right, method, call, body
	status=$(curl -sS -o "$work/answer" -w '%{http_code}' --unix-socket "$work/api" -X "$2" ${4:+-d "$4"} \
		"http://localhost/api/v1/$3")
	[ "$status" = "$1" ] || { echo "# $3: $status $(cat "$work/answer")"; false; }
}
state() { call 200 GET vm.info && grep -q "\"state\":\"$1\"" "$work/answer"; }
ticks() { grep -c 'guest: tick' "$work/out"; }
two_more() { [ "$(ticks)" -gt $((before + 1)) ]; }
stands_still() {
	sleep 1 # what was written before
	before=$(ticks)
	sleep 5
	[ "$(ticks)" = "$before" ]
}
goes_on() {
	before=$(ticks)
	until_true 30 two_more
}
ask() { bawn "$1" --api-socket "$work/api" >"$work/said" 2>&1 || { sed 's/^/# /' "$work/said"; false; }; }
events_are() { [ "$(sed -n 's/.*"source":"\([a-z]*\)","event":"\([a-z]*\)".*/\1:\2/p' "$work/events" | tr '\n' ' ')" = "$1 " ]; }

echo 1..15
ln -s "$(command -v bawn)" "$work/cloud-hypervisor"
head -c 32 /dev/urandom >"$work/key"
BAWN_SNAPSHOT_KEY="$work/key" "$work/cloud-hypervisor" --api-socket "path=$work/api" --event-monitor "path=$work/events" 2>"$work/err" &
vmm=$!
until_true 10 [ -S "$work/api" ]
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
show
kill "$vmm" 2>/dev/null
exit 0
