#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# qemu_gdb.sh DEVICE: QEMU's gdb stub, and with it KVM_SET_GUEST_DEBUG, on a boot sector
# (tests/lab/disk/sector.S) that SeaBIOS loads: registers, memory, breakpoints of both kinds, a
# watchpoint, single steps. What the stub answers is only compared.
# needs: /usr/bin/qemu-system-x86_64 /usr/bin/setpriv
# needs: /usr/share/seabios/bios-256k.bin /usr/share/seabios/vgabios-stdvga.bin /usr/share/qemu/kvmvapic.bin

. /lab/tests/qemu_common.sh
sector=/lab/guest/sector.img
skip_without "$qemu" $sector

# One exchange of the remote serial protocol; the answer is in $answer.
gdb() {
	sum=$(($(printf %s "$1" | hexdump -v -e '1/1 "+%u"') & 255))
	printf '$%s#%02x' "$1" $sum >&7
	answered
}
answered() {
	answer=
	read -r -t $((30 * ${LAB_SLOWER:-1})) -d '#' answer <&6 && read -r -n 2 _ <&6
	answer=${answer#*\$}
	printf + >&7
}
gives() { # packet, what the answer must be
	gdb "$1"
	case $answer in
	$2) ;;
	*) echo "# '$1' gives '$answer', expected '$2'" && false ;;
	esac
}
hex() { # value, bytes: in the guest's order
	left=$1
	n=$2
	while [ "$n" -gt 0 ]; do
		printf %02x $((left & 255))
		left=$((left >> 8)) n=$((n - 1))
	done
}
# Registers by `g`, as gdb does: `p` alone gives what QEMU knew last.
register() { gdb g && echo "$answer" | cut -c$((16 * $1 + 1))-$((16 * $1 + 16)); }
is() { # register's number, value
	value=$(register "$1")
	[ "$value" = "$(hex "$2" 8)" ] || { echo "# register $1 is $value, expected $2"; false; }
}
at() { is 16 "$1"; } # where the guest stands: RIP
stops_at() { gives c 'T05*' && at "$1"; }
counts() { is 2 "$1" && gives "m$count,4" "$(hex "$1" 4)"; } # in ECX and in memory
reset_state() { at 0xfff0 && gives m$(printf %x 0xfffffff0),1 ea; }
as_on_disk() { gives m7c00,200 "$(xxd -p -c 512 $sector)"; }
on_screen() { gives mb8000,8 5307650761074207; } # "SeaB", light grey on black
steps() { # the timer's interrupts wait meanwhile
	for rip in 0x7c02 0x7c04 0x7c06 0x7c09 0x7c10 0x7c12; do
		gives s 'T05*' && at $rip || return
	done
}
# On a NOP, so that an INT3 that nobody intercepts does no harm: QEMU's TCG treats it as INT n, and looks
# for an intercept of that alone. So it is on stock KVM too; tests/unit/sim/svm_test.c has what follows one.
software() {
	gives Z0,7c17,1 OK && gives Z1,7c10,1 OK && gives c 'T05*' || return
	if [ "$(register 16)" = "$(hex 0x7c10 8)" ]; then
		text="$text # SKIP this processor's INT3 cannot be intercepted (QEMU TCG)"
		return
	fi
	at 0x7c17 && counts 1 && gives z0,7c17,1 OK && gives m7c17,1 90 && stops_at 0x7c10
}
registers() { # written, and used by the guest
	gives "P2=$(hex 100 8)" OK && gives z1,7c10,1 OK && gives Z1,7c18,1 OK && stops_at 0x7c18 &&
		counts 101 && gives z1,7c18,1 OK
}
watchpoint() { # the write has been done when it stops
	gives "Z2,$count,4" OK && gives c 'T05*watch:7c80;*' && at 0x7c17 && counts 102 && gives "z2,$count,4" OK
}
memory() { gives "M7c88,8:$(printf 'changed\n' | xxd -p)" OK && gives M7c90,1:00 OK && gives M7c84,1:01 OK; }

count=7c80
echo 1..13
mkfifo "$work/gdb.in" "$work/gdb.out"
exec 7<>"$work/gdb.in" 6<>"$work/gdb.out"
cp $sector "$work/disk"
truncate -s 1M "$work/disk"
start_qemu -machine q35,kernel-irqchip=split -device VGA -m 64M -S -gdb "pipe:$work/gdb" \
	-drive file=$work/disk,format=raw,if=ide -device isa-debug-exit,iobase=0xf4,iosize=4
gdb 'qSupported:xmlRegisters=i386'
check "the stub reads the description of the registers" gives qXfer:features:read:target.xml:0,ffb '[lm]*'
check "registers and memory of the reset state" reset_state
check "a hardware breakpoint where the BIOS leaves to the boot sector" gives Z1,7c00,1 OK
check "stops there" stops_at 0x7c00
check "the BIOS has loaded the sector" as_on_disk
check "its first words stand in the VGA's memory" on_screen
gdb z1,7c00,1
check "single steps" steps
check "a software breakpoint" software
gdb z0,7c17,1
check "a register that is written" registers
check "a watchpoint" watchpoint
check "memory that is written" memory
gdb D
check "the guest goes on, and ends by what was written" ended 33
check "with the word that was written" grep -qx changed "$work/out"
finish '^changed'
