#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# debian_plug.sh DEVICE [snp]: disks and a network device come to a Debian guest while it reads another disk,
# and leave it; its balloon is resized, and it is snapshotted with what came. An SEV-SNP guest has neither of
# the latter, and hot-plug only if it is asked for.
# needs-module: tun

. /lab/tests/common.sh
tee=${2:-none} with=
patience=400 soon=60
[ "$tee" = none ] || soon=150 # an exit costs more there

ask() { # command, its argument
	command=$1
	shift
	# shellcheck disable=SC2086 # some words, or none
	$with bawn "$command" --api-socket "$work/api" "$@" >"$work/said" 2>&1 || { sed 's/^/# /' "$work/said"; false; }
}
says() { # text, as above
	text=$1
	shift
	ask "$@" && grep -q "$text" "$work/said" || { sed 's/^/# /' "$work/said"; false; }
}
refuses() { # words, as above
	words=$1
	shift
	! ask "$@" >/dev/null && grep -q "$words" "$work/said"
}
is_gone() { ask info --json && ! grep -q '"id": *"two"' "$work/said"; }
nobody_has() { # a process' name
	! cat /proc/[0-9]*/comm 2>/dev/null | grep -qx "bawn:$1"
}
memory_is() { ask info --json && grep -q "\"memory_actual_size\": *$1\b" "$work/said"; } # bytes, by the guest's word
sum() { sha256sum <"$work/$1" | cut -d' ' -f1; }
has_network() {
	until_true 10 ifconfig lab0 10.9.0.1 netmask 255.255.255.0 up 2>/dev/null || return 1
	nc -l -p 7001 <"$work/a" >/dev/null &
	mkfifo "$work/open" # without an end, which nc would pass on at once
	nc -l -p 7002 <>"$work/open" >"$work/sent" &
	wait_for "^guest: net got $(sum a)" $soon
}
got_all() {
	wait_for '^guest: network is done' $soon
	sent=$(tr -d '\r' <"$work/out" | sed -n 's/^guest: net sent \([0-9a-f]*\).*/\1/p')
	[ "$sent" = "$(sum sent)" ]
}

if [ "$tee" = none ]; then echo 1..30; else echo 1..22; fi
insert tun
for file in a b c; do dd if=/dev/urandom of="$work/$file" bs=1M count=8 2>/dev/null; done
tests=balloon,plug
set -- --balloon size=0 --no-encryption
[ "$tee" = none ] || tests=plug
[ "$tee" = none ] || set -- --tee "$tee" --firmware /lab/shim.bin --hotplug on
bawn run --device "$device" --kernel /lab/guest/vmlinuz --initrd /lab/guest/initrd --memory 256M \
	--disk "path=$work/a,readonly=on,id=first" --api-socket "$work/api" "$@" \
	--cmdline "console=ttyS0 panic=-1 bawn.test=$tests" </dev/null >"$work/out" 2>"$work/err" &
vmm=$!
check "the guest has one disk" wait_for '^guest: disks: vda' $patience
check "a second comes" says '"id":"two","bdf":"0000:00:05.0"' add-disk --json "path=$work/b,id=two"
check "and the guest reads it" wait_for "^guest: vdb holds $(sum b)" $soon
check "a third comes, and has a name" says '_disk2' add-disk "path=$work/c,readonly=on"
check "and the guest reads it" wait_for "^guest: vdc holds $(sum c)" $soon
check "the guest lets go of it by itself" wait_for '^guest: let go of vdc' $soon
check "but it stays, and can be taken back" wait_for '^guest: took vdc back' $soon
check "a disk that is there is in use" refuses 'in use' add-disk "path=$work/b"
check "the second is taken away" ask remove two
check "and its process and lock are gone" nobody_has disk1
check "the guest knows" wait_for '^guest: disks: vda vdc' $soon
check "what is gone cannot be taken away" refuses 'no disk or network device' remove two
check "it comes again" says '0000:00:05.0' add-disk "path=$work/b,id=two"
check "and the guest reads it" wait_for "^guest: vdb holds $(sum b)" $soon 2
[ "$tee" = none ] || check "a confidential guest keeps its vCPUs" refuses 'were measured' resize cpus=2
if [ "$tee" = none ]; then
	check "half of the memory is taken" ask resize memory=128M
	check "and the guest gives it" until_true 60 memory_is 134217728
	check "all of it comes back" ask resize balloon=0
	check "and the guest has it" until_true 60 memory_is 268435456
	check "a snapshot has all disks" ask snapshot "$work/snapshot"
fi
# bawn has no right to make a tap now: it is given one, or there is one behind a socket.
if [ "$tee" = none ]; then
	with="/lab/tests/frames 9 lab0" net=fd=9
else
	/lab/tests/frames "$work/net" lab0 &
	until_true 10 [ -S "$work/net" ]
	net=socket=$work/net
fi
check "a network device comes" says '0000:00:0c.0' add-net "$net"
with=
check "and the guest has network" has_network
check "both ways" got_all
check "it is taken away" ask remove _net0
check "and nobody has its tap" until_true 10 [ ! -e /sys/class/net/lab0 ]
check "and the guest ends" wait_for '^guest: plug ok' $soon
check "without complaints" wait_for '^guest: kernel-log ok' 30
wait "$vmm"
echo "# it ended with $?"
show
kill "$vmm" 2>/dev/null
[ "$tee" = none ] || exit 0

: >"$work/out"
bawn restore "$work/snapshot" --no-encryption --device "$device" --api-socket "$work/api" \
	</dev/null >"$work/out" 2>"$work/err" &
vmm=$!
until_true 10 [ -S "$work/api" ]
check "the snapshot's guest goes on with its disks" says '"id": *"two"' info --json
began=$(date +%s)
# Its memory comes as it asks for it: on a slow host it may take longer than its time, and is heard all the same.
check "of which one is taken away" eval 'ask remove two || until_true 60 is_gone'
echo "# after $(($(date +%s) - began)) s"
check "as it hears" wait_for '^guest: disks: vda vdc' $soon
check "and it ends" ask shutdown
wait "$vmm"
show
kill "$vmm" 2>/dev/null
exit 0
