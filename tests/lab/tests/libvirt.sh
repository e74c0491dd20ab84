#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# libvirt.sh DEVICE WHAT: libvirt's virtchd and virsh, unchanged, with Bawn as their cloud-hypervisor.
# needs-tree: libvirt/root
# needs: /usr/bin/script
# needs-module: tun

. /lab/tests/common.sh
what=$2
PATH=/usr/local/sbin:/usr/local/bin:$PATH:/usr/bin
export LD_LIBRARY_PATH=/usr/local/lib
patience=200

v() { # what virsh is told
	virsh -q -c ch:///system "$@" </dev/null >"$work/said" 2>&1 ||
		{ sed "s/^/# virsh $1: /" "$work/said"; false; }
}
says() { # words, what virsh is told
	words=$1
	shift
	v "$@" && grep -q -- "$words" "$work/said" || { sed "s/^/# virsh $1 said: /" "$work/said"; false; }
}
refuses() { # words, what virsh is told
	words=$1
	shift
	! virsh -q -c ch:///system "$@" </dev/null >"$work/said" 2>&1 && grep -q -- "$words" "$work/said" ||
		{ sed "s/^/# virsh $1 said: /" "$work/said"; false; }
}
state() { virsh -q -c ch:///system domstate "$1" 2>/dev/null </dev/null | grep -qx "$2"; }
becomes() { until_true "$3" state "$1" "$2"; }
supervises() { [ "$(cat "/proc/$1/comm")" = cloud-hyperviso ]; } # as much of the name as a kernel keeps
in_console() { seen "$1" "$work/console"; }
ticks() { grep -c 'guest: tick' "$work/console"; }
stands_still() {
	sleep 2 # what was written before
	before=$(ticks)
	sleep 4
	[ "$(ticks)" = "$before" ]
}
more_ticks() { [ "$(ticks)" -gt "$before" ]; }
goes_on() {
	before=$(ticks)
	until_true 60 more_ticks
}
waits_again() { [ "$(grep -c 'guest: button waits' "$work/console")" -ge "$1" ]; }
boots() { [ "$(grep -c 'guest: up' "$work/console")" -ge "$1" ]; }
listen_to() { # a machine; to the serial port's terminal, whose name virsh knows
	kill "$listener" 2>/dev/null
	pty=$(virsh -q -c ch:///system dumpxml "$1" </dev/null | sed -n "s,.*<source path='\(/dev/pts/[0-9]*\)'/>.*,\1,p" |
		tail -n 1)
	[ -n "$pty" ] || return 1
	cat "$pty" >>"$work/console" 2>/dev/null &
	listener=$!
}
gone() { ! pidof cloud-hypervisor >/dev/null && ! pidof bawn >/dev/null && ! grep -qs '^bawn:' /proc/[0-9]*/comm; }

domain() { # name, the guest's tests, vCPUs, devices
	cat >"$work/$1.xml" <<-EOF
		<domain type='kvm'>
		  <name>$1</name>
		  <memory unit='MiB'>256</memory>
		  <vcpu>$3</vcpu>
		  <os>
		    <type arch='x86_64'>hvm</type>
		    <kernel>/lab/guest/vmlinuz</kernel>
		    <initrd>/lab/guest/initrd</initrd>
		    <cmdline>console=ttyS0 panic=-1 quiet bawn.test=$2 bawn.end=poweroff</cmdline>
		  </os>
		  <devices>
		    $4
		  </devices>
		</domain>
	EOF
	v define "$work/$1.xml"
}

# A host as libvirt expects one.
echo root:x:0:0:root:/:/bin/sh >/etc/passwd 2>/dev/null || { mkdir -p /etc && echo root:x:0:0:root:/:/bin/sh >/etc/passwd; }
echo root:x:0: >/etc/group
mkdir -p /var/log/libvirt/ch /var/lib/libvirt/ch /run/libvirt/ch /var/lock
[ -e /var/run ] || ln -s ../run /var/run
: >"$work/console"
ln -sf "$(command -v bawn)" /usr/local/bin/cloud-hypervisor
# The driver looks for this name alone; bawn itself takes /dev/bawn where it is.
[ -e /dev/kvm ] || ln -s "${1#/dev/}" /dev/kvm
# It passes its environment on.
head -c 32 /dev/urandom >"$work/key"
BAWN_SNAPSHOT_KEY=$work/key LIBVIRT_LOG_FILTERS="1:ch 3:*" LIBVIRT_LOG_OUTPUTS="1:file:$work/virtchd.log" virtchd >"$work/virtchd.out" 2>&1 &
virtchd=$!
until_true 30 [ -S /run/libvirt/virtchd-sock ]
v version || { echo "Bail out! virtchd does not serve: $(cat "$work/said" "$work/virtchd.log")"; exit 1; }

tell() { echo "$1" >&8; }
at_console() { seen "$1" "$work/typescript"; }
# What a person at a terminal does, until Ctrl-].
sit_at_console() { # a machine
	mkfifo "$work/keys"
	: >"$work/typescript"
	script -qfc "virsh -q -c ch:///system console $1" "$work/typescript" <"$work/keys" >/dev/null &
	person=$!
	exec 8>"$work/keys"
}
leave_console() {
	printf '\035' >&8
	exec 8>&-
	wait $person
}
# The machine's end is told by an event; nobody asks.
took_every_event() {
	! grep -E 'Unknown event|Invalid JSON|event doc|Failed to (parse|process)|missing .(file|config|serial|console)' \
		"$work/virtchd.log" | sed 's/^/# virtchd: /' | grep .
}

case $what in
life)
	echo 1..39
	check "libvirt knows which version Bawn serves" says 'Running hypervisor: CH 48' version
	check "and what the host can do" says "<domain type='kvm'/>" capabilities
	dd if=/dev/urandom of="$work/disk" bs=1M count=8 2>/dev/null
	check "a machine is defined" domain one button 2 "
		<disk type='file' device='disk'><source file='$work/disk'/><target dev='vda' bus='virtio'/></disk>
		<serial type='pty'><target port='0'/></serial>"
	check "it is listed" says 'one *shut off' list --all
	virsh -c ch:///system event --event lifecycle --loop </dev/null >"$work/events" 2>&1 &
	check "it starts" v start one
	state one running || { echo "Bail out! $(tail -n 20 "$work/virtchd.log" /var/log/libvirt/ch/one.log)"; exit 1; }
	check "it is listed as running" says 'one *running' list
	check "its serial port has a terminal, which vm.info names" listen_to one
	check "the guest waits for its power button" until_true $patience in_console 'guest: button waits'
	check "dominfo" says '^CPU(s): *2' dominfo one
	check "domid is its supervisor" supervises "$(virsh -q -c ch:///system domid one </dev/null)"
	check "domblklist" says "vda *$work/disk" domblklist one
	check "vcpucount" says '^current *live *2' vcpucount one
	check "emulatorpin" v emulatorpin one 0
	# Its driver looks for the vCPUs' threads in the one process that it started.
	check "vcpuinfo is refused, as documented" refuses 'cpu affinity is not supported' vcpuinfo one
	check "a second start is refused" refuses 'already active' start one
	check "suspend" v suspend one
	check "it is paused" state one paused
	check "and stands still" stands_still
	check "resume" v resume one
	check "it runs" state one running
	check "and goes on" goes_on
	check "reboot" v reboot one
	check "the guest boots again" until_true $patience boots 2
	check "the guest waits again" until_true $patience waits_again 2
	check "managedsave" v managedsave one
	check "it is off" state one 'shut off'
	check "none of its processes is left" until_true 20 gone
	check "start goes on from there" v start one
	listen_to one
	check "the guest goes on" goes_on
	check "save" v save one "$work/saved"
	check "none of its processes is left" until_true 20 gone
	check "restore" v restore "$work/saved"
	listen_to one
	check "the guest goes on" goes_on
	check "shutdown" v shutdown one
	check "an event tells libvirt that it is off" becomes one 'shut off' 30
	v start one
	check "destroy" v destroy one
	check "it is off, and none of its processes is left" until_true 20 gone
	check "undefine" v undefine one
	check "libvirt was told what it knows" took_every_event
	;;
more)
	echo 1..16
	insert tun
	dd if=/dev/urandom of="$work/a" bs=1M count=8 2>/dev/null
	check "a machine with a tap, a serial port at a socket and a console is defined" domain two tap,hvc 1 "
		<interface type='ethernet'><mac address='02:00:00:00:00:02'/><target dev='lab0'/><model type='virtio'/></interface>
		<serial type='unix'><source mode='bind' path='$work/serial'/><target port='0'/></serial>
		<console type='pty'><target type='virtio' port='0'/></console>"
	check "it starts" v start two
	state two running || { echo "Bail out! $(tail -n 20 "$work/virtchd.log" /var/log/libvirt/ch/two.log)"; exit 1; }
	mkfifo "$work/typed"
	bawn console --api-socket /run/libvirt/ch/two-socket <>"$work/typed" >"$work/console" 2>/dev/null &
	check "its serial port is at the socket" until_true $patience in_console 'guest: up'
	check "the tap is there" ifconfig lab0 10.9.0.1 netmask 255.255.255.0 up
	nc -l -p 7001 <"$work/a" >/dev/null &
	mkfifo "$work/open" # without an end, which nc would pass on at once
	nc -l -p 7002 <>"$work/open" >"$work/b" &
	check "domiflist" says 'lab0 *ethernet' domiflist two
	sum=$(sha256sum <"$work/a")
	check "the guest gets what we send" until_true $patience in_console "guest: net got $sum"
	check "its network is as it was told" until_true 60 in_console 'guest: tap ok 02:00:00:00:00:02'
	sent=$(tr -d '\r' <"$work/console" | sed -n 's/^guest: net sent //p')
	check "we get what it sends" [ "$sent" = "$(sha256sum <"$work/b")" ]
	sit_at_console two
	check "virsh console shows what the guest says" until_true 60 at_console 'guest: say something'
	tell "hello over virsh"
	check "and types" until_true 60 at_console 'guest: heard <hello over virsh>'
	leave_console
	check "the guest powers off, and libvirt is told" becomes two 'shut off' 60
	check "none of its processes is left" until_true 20 gone
	# Not of what comes: libvirt's thread for events hears that a transient machine which it destroys
	# is off when that is no domain any more, and complains.
	check "libvirt was told what it knows" took_every_event
	v undefine two
	check "a transient machine is made" v create "$work/two.xml"
	check "and ends" v destroy two
	check "none of its processes is left" until_true 20 gone
	;;
*) echo "1..0 # libvirt.sh: '$what' is none of life more" ;;
esac
sed 's/^/# lifecycle: /' "$work/events" 2>/dev/null
cat -v "$work/typescript" 2>/dev/null | sed 's/^/# at the console: /'
grep -h -E 'error|warning' "$work/virtchd.log" "$work/virtchd.out" | grep -v 'not supported by' | tail -n 20 | sed 's/^/# virtchd: /'
for log in /var/log/libvirt/ch/*.log; do [ ! -e "$log" ] || tail -n 5 "$log" | sed 's/^/# bawn: /'; done
# shellcheck disable=SC2046 # numbers
kill $virtchd $(jobs -p) $(pidof cloud-hypervisor) 2>/dev/null
exit 0
