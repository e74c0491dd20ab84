# SPDX-License-Identifier: Apache-2.0
"""Lab host "svm": Debian's cloud kernel on QEMU's emulated AMD processor with SVM.

A host is one file with these names. Others can differ in kernel, machine or emulator.
"""
SILENT_AFTER = 90  # seconds without a word from its init: the boot is taken for hung
KERNEL_ARGS = "console=ttyS0 panic=-1 oops=panic loglevel=6 "
CHECKING = "slab_nomerge slab_debug=FZPU,bawn*,kmalloc-* "  # use after free, overruns, leaks
REPEATABLE = "nokaslr "
# Sent to the monitor ten times a second. QEMU's VMEXIT code clears a bit of the interrupt word
# without its lock and can so lose the timer's interrupt for good, about once in five guest boots;
# any other interrupt (here a key's) makes it look at the pending ones again.
WAKE = b"sendkey shift 1"


def command(boot):
    """The emulator's argument list. boot: see class Boot in ../lab."""
    argv = ["qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-smp", "1", "-m", "3G",
            "-cpu", "EPYC-Genoa,la57=off,phys-bits=48", "-display", "none", "-nodefaults",
            "-no-reboot",
            "-kernel", boot.kernel, "-initrd", boot.initrd,
            "-append", KERNEL_ARGS + (REPEATABLE if boot.deterministic else CHECKING)
            + boot.kernel_args]
    if boot.deterministic:
        argv += ["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"]
    if boot.interactive:
        argv += ["-serial", "mon:stdio"]
    else:
        argv += ["-serial", "file:" + boot.console]
    argv += ["-monitor", "unix:" + boot.monitor + ",server=on,wait=off"]
    argv += ["-device", "virtio-serial-pci", "-chardev", "file,id=lab,path=" + boot.channel,
             "-device", "virtserialport,chardev=lab,name=bawn.lab"]
    for number, path in enumerate(boot.disks):
        argv += ["-drive", f"if=none,id=disk{number},file={path},format=raw,snapshot=on",
                 "-device", f"virtio-blk-pci,drive=disk{number}"]
    if boot.network:
        argv += ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
    if boot.tpm:
        argv += ["-chardev", "socket,id=tpm,path=" + boot.tpm,
                 "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"]
    return argv
