#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# debian.sh DEVICE WHAT [CPUS [snp]]: boots an unmodified Debian kernel with `bawn run`, as an SEV-SNP
# guest if asked to, and judges what its init (tests/lab/guest-initrd) says. The guest is not trusted:
# every wait has an end. BAWN_KERNEL in the environment is another kernel than the host's own.
# needs-module: tun
# needs-module: zram
# needs-module: dm-mod
# needs: /usr/sbin/dmsetup

. /lab/tests/common.sh
what=$2 cpus=${3:-1} tee=${4:-none}
patience=120 least_memory=180000 boot_points=6 tick=50
# An exit costs more there, and 64 MiB are its shared buffers.
[ "$tee" = snp ] && patience=400 least_memory=100000 boot_points=7 snp=,snp shim="--firmware /lab/shim.bin"
[ "$tee" = snp ] && [ "$cpus" -gt 1 ] && boot_points=8 snp=,snp,hotplug
# An SNP guest uses as many levels of page tables as its host, whose C-bit is then where they have it.
levels=$(grep -qw la57 /proc/cpuinfo && echo 5 || echo 4)
most_exits=60000 # of a quiet boot of one CPU as an SNP guest
mkfifo "$work/in"


start() { # guest's tests, its end, options of bawn run
	tests=$1 end=$2
	shift 2
	# shellcheck disable=SC2086 # the shim's option is two words, or none
	bawn run --device "$device" --kernel "${BAWN_KERNEL:-/lab/guest/vmlinuz}" --initrd /lab/guest/initrd \
		--cpus "$cpus" --memory 256M --rng on --tee "$tee" $shim "$@" \
		--cmdline "console=ttyS0 panic=-1 bawn.test=$tests bawn.end=$end bawn.seconds=${seconds:-10}$quiet" \
		<"$work/in" >"$work/out" 2>"$work/err" &
	vmm=$!
	exec 9>"$work/in"
}

process() { # its name; its number
	for comm in /proc/[0-9]*/comm; do
		[ "$(cat "$comm" 2>/dev/null)" = "bawn:$1" ] && basename "${comm%/comm}" && return
	done
	return 1
}
needs_fixing() { # what, options of bawn check
	id=$1
	shift
	! fine "$@" && grep -q "^FIX *$id " "$work/check"
}
fine() { # options of bawn check
	bawn check --device "$device" --kernel /lab/guest/vmlinuz "$@" >"$work/check"
}
take_pty() { # its output is the guest's from here on
	left=200
	until pty=$(sed -n 's/^bawn: serial: //p' "$work/err") && [ -n "$pty" ]; do
		left=$((left - 1))
		[ $left -gt 0 ] && kill -0 "$vmm" 2>/dev/null || return 1
		usleep 50000
	done
	cat "$pty" >>"$work/out" 2>/dev/null & # until the machine ends
}
locked_in() { # the names of processes
	for name in "$@"; do
		pid=$(process "$name") && grep -q '^Seccomp:.2$' "/proc/$pid/status" &&
			grep -q '^CapEff:.0*$' "/proc/$pid/status" &&
			[ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] || return
	done
}
without_openssl() { # the names of processes
	for pid in "$vmm" $(for name in "$@"; do process "$name" || echo none; done); do
		grep -q libc.so "/proc/$pid/maps" && ! grep -q libcrypto "/proc/$pid/maps" || return
	done
}
ring_of() { # a process
	pid=$(process "$1") || return
	for fd in "/proc/$pid/fd"/*; do
		[ "$(readlink "$fd")" = 'anon_inode:[io_uring]' ] && return
	done
	return 1
}
another_rng() {
	was=$(process rng) && kill -KILL "$was" && left=200
	while [ -z "$(process rng)" ] || [ "$(process rng)" = "$was" ]; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		usleep 50000
	done
	grep -q "rng's process was killed by signal 9" "$work/err"
}
none_left() {
	left=200
	while process machine || process rng || process disk0; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		usleep 50000
	done
}

refused() { # words of the message, options of bawn run
	words=$1
	shift
	! bawn run --device "$device" --kernel /lab/guest/vmlinuz --timeout 5 --serial null "$@" \
		</dev/null >/dev/null 2>"$work/refused" && grep -q "$words" "$work/refused"
}
wait_for_tap() { # name, our address there
	left=200
	until ifconfig "$1" "$2" netmask 255.255.255.0 up 2>/dev/null; do
		left=$((left - 1))
		[ $left -gt 0 ] && kill -0 "$vmm" 2>/dev/null || return 1
		usleep 50000
	done
}
# 256 MiB less what the kernel takes for itself, in KiB.
memory_is_right() {
	total=$(sed -n 's/^guest: smoke ok .*memory=\([0-9]*\).*/\1/p' "$work/out")
	[ -n "$total" ] && [ "$total" -gt "$least_memory" ] && [ "$total" -lt 262144 ]
}
restore() { # options of bawn restore
	bawn restore "$work/snapshot" --device "$device" "$@" <"$work/in" >"$work/out" 2>"$work/err" &
	vmm=$!
	exec 9>"$work/in"
}
not_restored() { # words of the message, snapshot, options of bawn restore
	words=$1 image=$2
	shift 2
	! bawn restore "$image" --device "$device" --timeout 5 "$@" </dev/null >/dev/null 2>"$work/refused" &&
		grep -q "$words" "$work/refused"
}
not_saved() { # words of the message, options of bawn snapshot
	words=$1
	shift
	! bawn snapshot --api-socket "$work/api" "$work/none" "$@" 2>"$work/refused" && grep -q "$words" "$work/refused"
}
smaller() { # than the second, by half
	echo "# $(stat -c %s "$1") and $(stat -c %s "$2") bytes"
	[ $(($(stat -c %s "$1") * 2)) -lt "$(stat -c %s "$2")" ]
}
counts_on() { # from a number
	first=$(sed -n 's/^guest: count \([0-9]*\).*/\1/p' "$work/out" | head -n 1)
	echo "# it counted to $1, and goes on with $first"
	# A line may have been cut in two.
	[ "$1" -ge 4 ] && [ "$first" -gt "$1" ] && [ "$first" -le $(($1 + 2)) ]
}
uptime_ms() { read -r now rest </proc/uptime; echo "${now%.*}${now#*.}0"; }
# The guest's sleep of $seconds, on our clock: within 1 %.
clock_is_right() {
	wait_for 'guest: clock start' $patience || return 1
	start=$(uptime_ms)
	wait_for 'guest: clock stop' $((seconds * 2)) || return 1
	took=$(($(uptime_ms) - start))
	echo "# $seconds s of the guest took $took ms here"
	[ $took -gt $((seconds * 990)) ] && [ $took -lt $((seconds * 1010)) ]
}
few_exits() {
	exits=$(sed -n 's/^bawn: vcpu 0: module exits //p' "$work/err")
	echo "# $exits exits"
	[ -n "$exits" ] && [ "$exits" -le $most_exits ]
}
at_prompt() { # how often it has been there, a command; done when the prompt is there again
	echo "$2" >&9
	wait_for '^root@lab:~#' 300 "$(($1 + 1))"
}
said() { # what a line of the guest says after these words
	sed -n "s/^guest: $1 //p" "$work/out" | tr -d '\r'
}
time_is_right() { # the guest's clock was read between the two
	then=$1
	now=$(said time)
	[ -n "$now" ] && [ "$now" -ge $((then - 2)) ] && [ "$now" -le $(($(date +%s) + 2)) ]
}
start_swtpm() { # which starts its TPM up by itself: the guest's kernel waits 2 s for that, an emulator may need more
	mkdir "$work/tpm"
	/usr/bin/swtpm socket --tpm2 --flags startup-clear --tpmstate "dir=$work/tpm" \
		--ctrl "type=unixio,path=$work/tpm/sock" 2>/dev/null &
	until [ -S "$work/tpm/sock" ]; do usleep 50000; done
}
finish_off() {
	check "the guest's kernel has nothing to complain of" wait_for "^guest: kernel-log ok" 20
	check "power-off ends bawn run with 0" ended 0
}

case $what in
boot)
	[ "$cpus$snp" = 1,snp ] && quiet=" quiet" stats=--stats boot_points=$((boot_points + 1))
	echo "1..$boot_points"
	# shellcheck disable=SC2086 # an option, or none
	start "smoke,rng$snp" poweroff $stats
	check "init runs" wait_for '^guest: up' $patience
	check "$cpus CPUs are up" wait_for "^guest: smoke ok .*cpus=$cpus " 20
	check "memory is all there" memory_is_right
	check "virtio-rng serves" wait_for '^guest: rng ok virtio' 20
	[ -z "$snp" ] || check "it is an SEV-SNP guest" wait_for "^guest: snp ok .*SEV-SNP, $levels levels" 20
	[ "$snp" != ,snp,hotplug ] || check "a CPU goes and comes back" wait_for '^guest: hotplug ok' 60
	finish_off
	[ -z "$quiet" ] || check "it took at most $most_exits exits" few_exits
	;;
up) # of a kernel that has no use for the initrd's modules
	echo 1..4
	quiet=" quiet"
	start smoke,snp poweroff
	check "init runs" wait_for '^guest: up' $patience
	check "it is an SEV-SNP guest" wait_for '^guest: snp ok .*SEV-SNP' 20
	finish_off
	;;
echo)
	echo 1..3
	start echo poweroff
	wait_for 'guest: say something' $patience && echo "hello over serial" >&9
	check "serial input and output" wait_for 'guest: heard <hello over serial>' 20
	finish_off
	;;
pty)
	echo 1..6
	mkdir -p /dev/pts
	[ -e /dev/pts/ptmx ] || mount -t devpts devpts /dev/pts
	check "bawn check sees too few huge pages" needs_fixing hugepages --hugepages 2M
	echo 132 >/proc/sys/vm/nr_hugepages
	check "and has nothing to say when they are there" fine --initrd /lab/guest/initrd \
		--memory 256M --hugepages 2M
	start echo poweroff --serial pty --hugepages 2M
	check "the terminal's name is told" take_pty
	wait_for 'guest: say something' $patience && echo "hello over a pty" >"$pty"
	check "serial input and output" wait_for 'guest: heard <hello over a pty>' 20
	finish_off
	echo 0 >/proc/sys/vm/nr_hugepages
	;;
hvc)
	echo 1..2
	start hvc poweroff --serial null --console tty
	wait_for 'guest: say something' $patience && echo "hello over virtio" >&9
	check "virtio-console input and output" wait_for 'guest: heard <hello over virtio>' 20
	check "power-off ends bawn run with 0" ended 0
	;;
clock)
	seconds=20
	echo 1..3
	start clock poweroff
	check "the guest's clock is within 1 % of the host's" clock_is_right
	finish_off
	;;
stress | soak)
	[ "$what" = soak ] && seconds=60
	echo 1..3
	start "$what" poweroff
	check "$what on $cpus CPUs" wait_for "^guest: $what ok" $((${seconds:-10} + 150))
	finish_off
	;;
reboot)
	echo 1..5
	cp /lab/guest/vmlinuz "$work/vmlinuz"
	BAWN_KERNEL=$work/vmlinuz
	start smoke reboot
	check "the guest comes up" wait_for '^guest: up' $patience
	check "and again after its reboot" wait_for '^guest: up' $patience 2
	echo more >>"$work/vmlinuz"
	check "with another kernel under the same name it does not" ended 1
	check "which is said" grep -q 'not what they were when the machine was started' "$work/err"
	check "no vCPU is left" [ ! -d "/proc/$vmm" ]
	;;
panic)
	echo 1..2
	start smoke panic
	check "the guest panics" wait_for 'sysrq triggered crash' $patience
	check "bawn run ends with 3" ended 3
	;;
disk) # one with a ring, one without
	echo 1..7
	dd if=/dev/urandom of="$work/a" bs=1M count=8 2>/dev/null
	dd if=/dev/urandom of="$work/b" bs=1M count=8 2>/dev/null
	a=$(sha256sum <"$work/a") b=$(sha256sum <"$work/b")
	start disk poweroff --disk "path=$work/a,io_uring=on" --disk "path=$work/b,readonly=on"
	check "the guest reads both disks" wait_for "^guest: vda holds $a" "$patience"
	check "the first one by its ring" ring_of disk0
	check "a second machine is refused the same disk" refused "in use by another machine" \
		--disk "path=$work/a"
	check "what the guest writes comes back, and not to the read-only disk" wait_for '^guest: disk ok 16384' 60
	finish_off
	wrote=$(tr -d '\r' <"$work/out" | sed -n 's/^guest: wrote //p')
	check "and stands in the file; the other is as it was" \
		[ "$wrote/$b" = "$(sha256sum <"$work/a")/$(sha256sum <"$work/b")" ]
	;;
net) # with as many pairs of queues as there are CPUs
	echo 1..6
	insert tun
	dd if=/dev/urandom of="$work/a" bs=1M count=8 2>/dev/null
	start tap poweroff --net "tap=lab0,mac=02:00:00:00:00:02,mtu=1400,num_queues=$((2 * cpus))"
	check "the tap is made" wait_for_tap lab0 10.9.0.1
	nc -l -p 7001 <"$work/a" >/dev/null &
	mkfifo "$work/open" # without an end, which nc would pass on at once
	nc -l -p 7002 <>"$work/open" >"$work/b" &
	check "the guest gets what we send" wait_for "^guest: net got $(sha256sum <"$work/a")" "$patience"
	check "its network is as it was told" wait_for "^guest: tap ok 02:00:00:00:00:02 1400 $cpus rx" 60
	sent=$(tr -d '\r' <"$work/out" | sed -n 's/^guest: net sent //p')
	check "we get what it sends" [ "$sent" = "$(sha256sum <"$work/b")" ]
	finish_off
	;;
bad-disk) # one that has a bad place, and one whose file system is full
	echo 1..5
	insert zram dm-mod
	echo 16M >/sys/block/zram0/disksize
	/usr/sbin/dmsetup create bad --noudevsync <<-END
		0 2048 linear /dev/zram0 0
		2048 8 error
		2056 30712 linear /dev/zram0 2056
	END
	mkdir "$work/small"
	mount -t tmpfs -o size=4m small "$work/small"
	dd of="$work/small/full" bs=1M seek=16 count=0 2>/dev/null
	start faulty poweroff --disk path=/dev/dm-0 --disk "path=$work/small/full"
	check "the guest's reads and writes of the bad place fail, and no others" wait_for '^guest: bad place ok' $patience
	check "what is written when there is no room fails, and what was written stays" \
		wait_for '^guest: no room ok' 60
	check "the disks serve on" wait_for '^guest: faulty ok' 60
	finish_off
	/usr/sbin/dmsetup remove --noudevsync bad
	umount "$work/small"
	echo 1 >/sys/block/zram0/reset
	;;
tpm)
	echo 1..5
	start_swtpm
	start tpm poweroff --tpm "socket=$work/tpm/sock"
	check "init runs" wait_for '^guest: up' $patience
	check "the kernel's driver has found the TPM, which gives random numbers" wait_for '^guest: tpm ok' 90
	finish_off
	# Of 32 zeroes and the 32 bytes that the guest extended it by.
	pcr=$({ head -c 32 /dev/zero; head -c 32 /dev/zero | tr '\0' B; } | sha256sum | cut -d' ' -f1 | tr a-f A-F)
	check "its PCR is what it should be" [ "$(said 'pcr 16')" = "$pcr" ]
	;;
root | root-load) # Debian's own system, on a raw disk with a tap; or on a qcow2 with a stream socket
	insert virtio_blk tun
	[ -b /dev/vda ] || { echo 1..1 && echo "ok 1 # SKIP there is no debian.ext4: debootstrap and root make it" && exit; }
	[ $what = root ] && echo 1..11 || echo 1..12
	cp /lab/guest/empty.qcow2 "$work/data"
	dd if=/dev/urandom of="$work/a" bs=1M count=8 2>/dev/null
	disk=path=/dev/vda net=tap=lab0
	if [ $what = root-load ]; then
		cp /lab/guest/debian.qcow2 "$work/root"
		disk=path=$work/root,format=qcow2,backing=/dev/vda,backing-format=raw net=socket=$work/net
		frames "$work/net" lab0 &
		until [ -S "$work/net" ]; do usleep 50000; done
	fi
	start_swtpm
	tick=500 # a look costs the processor that the guest needs
	quiet=" quiet" began=$(uptime_ms)
	start root none --disk "$disk" --disk "path=$work/data,format=qcow2" --net "$net" --tpm "socket=$work/tpm/sock" \
		--balloon size=32M,reporting=on
	wait_for_tap lab0 10.9.0.1
	nc -l -p 7001 <"$work/a" >/dev/null &
	mkfifo "$work/open"
	nc -l -p 7002 <>"$work/open" >"$work/b" &
	check "Debian comes to a login prompt" wait_for '^lab login:' $((patience * 3))
	echo "# after $(($(uptime_ms) - began)) ms"
	check "root logs in" at_prompt 0 root
	check "no unit has failed" at_prompt 1 "load system"
	check "the kernel complains of nothing, ACPI and PCI included" at_prompt 2 "load complaints"
	check "the TPM's own tools talk to swtpm" at_prompt 3 "load tpm balloon"
	then=$(date +%s)
	check "the clock is right" at_prompt 4 "load clock"
	check "disk and network carry what they should" at_prompt 5 "load net data"
	[ $what = root ] || check "packages and archives are unpacked" at_prompt 6 "load apt"
	echo poweroff >&9
	check "power-off ends bawn run with 0" ended 0
	check "the clock was right" time_is_right "$then"
	check "what we sent arrived, and what it sent" [ "$(said 'net got')/$(said 'net sent')" = \
		"$(sha256sum <"$work/a" | cut -d' ' -f1)/$(sha256sum <"$work/b" | cut -d' ' -f1)" ]
	failed=$(grep '^guest: .* FAIL' "$work/out")
	check "each step was right" [ -z "$failed" ]
	;;
processes)
	echo 1..9
	dd if=/dev/zero of="$work/a" bs=1M count=8 2>/dev/null
	start processes poweroff --disk "path=$work/a"
	check "the guest's drivers are up" wait_for 'guest: say something' $patience
	check "machine and devices have processes that are locked in" locked_in machine rng disk0
	check "none has OpenSSL in memory" without_openssl machine rng disk0
	check "a device's process that dies is reported, and there is another" another_rng
	stopped=$(process disk0)
	kill -STOP "$stopped"
	echo "go on" >&9
	check "the guest resets the device, which serves again" wait_for 'guest: rng is back' 60
	sleep 30
	kill -CONT "$stopped"
	check "a device that stood still goes on" wait_for '^guest: processes ok' 60
	finish_off
	start smoke poweroff
	wait_for 'Linux version' $patience
	kill -KILL "$vmm"
	check "when the supervisor is killed, so are the others" none_left
	;;
snapshot)
	seconds=10
	echo 1..19
	head -c 32 /dev/urandom >"$work/key"
	head -c 32 /dev/urandom >"$work/other"
	dd if=/dev/zero of="$work/a" bs=1M count=8 2>/dev/null
	start counter poweroff --disk "path=$work/a" --key "$work/key" --api-socket "path=$work/api"
	check "the guest counts" wait_for '^guest: count 2' $patience
	check "it is saved while it runs" bawn snapshot --api-socket "$work/api" "$work/first" --track
	check "and goes on" wait_for '^guest: count 4' 60
	check "it is paused" bawn pause --api-socket "$work/api"
	counted=$(sed -n 's/^guest: count \([0-9]*\).*/\1/p' "$work/out" | tail -n 1)
	check "what changed since is saved" bawn snapshot --api-socket "$work/api" "$work/second" --base "$work/first"
	check "and since that" bawn snapshot --api-socket "$work/api" "$work/snapshot" --base "$work/second"
	check "but not since any other" not_saved "is not the last snapshot" --base "$work/first"
	check "these are much smaller" smaller "$work/second" "$work/first"
	kill -KILL "$vmm"
	check "its processes are gone" none_left
	check "another key is refused" not_restored "not the one" "$work/snapshot" --key "$work/other"
	check "so is none" not_restored "key is needed" "$work/snapshot" --no-encryption
	mv "$work/first" "$work/away"
	check "and a chain with a gap" not_restored "first cannot be opened" "$work/snapshot" --key "$work/key"
	bawn snapshot --help >"$work/first"
	check "or with another file in it" not_restored "base.*first: no snapshot" "$work/snapshot" --key "$work/key"
	mv "$work/away" "$work/first"
	head -c $(($(stat -c %s "$work/snapshot") - 1000)) "$work/snapshot" >"$work/short"
	check "and an image that was cut off" not_restored "damaged, or was cut off" "$work/short" --key "$work/key"
	restore --key "$work/key"
	check "a machine goes on from it" wait_for '^guest: count' $patience
	check "the guest counts on" counts_on "$counted"
	check "and its disk has all numbers" wait_for '^guest: counter ok' 60
	finish_off
	;;
*) echo "1..0 # debian.sh: '$what' is none of boot up echo hvc clock stress soak reboot panic disk bad-disk net processes snapshot tpm root root-load" ;;
esac
tr -d '\r' <"$work/out" >"$work/text"
sed 's/^/# bawn: /' "$work/err"
grep '^guest:' "$work/text" | sed 's/^/# /'
grep -E 'Oops|BUG|WARNING|panic' "$work/text" | grep -v '^guest:' | grep -v -e 'ommand line' -e hw-vuln | sed 's/^/# guest kernel: /' | head -5
kill "$vmm" 2>/dev/null
exec 9>&-
exit 0
