#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# qemu_firmware.sh DEVICE WHAT: what is not Linux in Debian's unmodified QEMU: the memory tester
# memtest86+, which GRUB loads, and the UEFI firmware OVMF with its shell.
# needs: /usr/bin/qemu-system-x86_64 /usr/bin/setpriv
# needs: /usr/share/seabios/bios-256k.bin /usr/share/qemu/kvmvapic.bin
# needs: /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_VARS_4M.fd /boot/memtest86+x64.bin

. /lab/tests/qemu_common.sh
skip_without "$qemu"
q35=q35,kernel-irqchip=split

# It draws at the serial terminal what changes: a test's number after #, errors beside their word.
memtest() {
	skip_without /lab/guest/grub.img /boot/memtest86+x64.bin
	echo 1..5
	{ cat /lab/guest/grub.img && tar -c -C /boot memtest86+x64.bin; } >"$work/disk"
	truncate -s 33M "$work/disk"
	start_qemu -m 48M -smp 2 -machine $q35 -drive "file=$work/disk,format=raw,if=ide"
	check "GRUB's shell" wait_for 'grub>' 60
	types "linux16 (hd0,msdos1)/memtest86+x64.bin console=ttyS0,115200"
	types boot
	check "memtest86+ runs on both CPUs" wait_for '2 Cores *2 Threads' 60
	check "it gets as far as random patterns" wait_for '#5 *\[Moving inversions, random pattern' 240
	check "it has found no error" no_errors
	check "QEMU has nothing to complain of" no_complaints
}
no_errors() { grep -q 'Errors: 0 ' "$work/out" && ! grep -q 'Errors: [1-9]' "$work/out"; }

# On bawn.ko alone: the firmware writes CR8 at the end of each interrupt, which the emulated host does not
# survive where that does not exit and another interrupt waits (README.md), as with stock KVM.
# It asks 50,000 times for a TPM that is not there, with two looks at the clock each: 150,000 exits. Then
# each time that it writes a variable the flash is a device, and afterwards read-only memory: 500 slots.
# It makes page tables of 2 MiB pages for all addresses that the processor has: for 48 bits they would be 1 GiB.
ovmf() {
	skip_without /usr/share/OVMF/OVMF_CODE_4M.fd
	echo 1..4
	cp /usr/share/OVMF/OVMF_VARS_4M.fd "$work/vars"
	start_qemu -m 128M -machine $q35 -cpu host,host-phys-bits-limit=40 \
		-drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
		-drive "if=pflash,format=raw,unit=1,file=$work/vars"
	check "the firmware starts its shell" wait_for 'Press .*ESC' 1000
	types ''
	wait_for 'Shell>' 120
	types 'set -v answer 42'
	types 'echo The answer is %answer%.'
	check "it does as it is told" wait_for 'The answer is 42\.' 120
	types 'reset -s'
	check "QEMU ends with it" ended 0
	check "QEMU has nothing to complain of" no_complaints
}

case $2 in
memtest) memtest && finish 'random pattern' ;;
ovmf) ovmf && finish 'Shell>' ;;
*) echo "1..0 # qemu_firmware.sh: '$2' is none of memtest ovmf" ;;
esac
