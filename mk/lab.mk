# SPDX-License-Identifier: Apache-2.0
# The lab: emulated hosts in which bawn.ko is loaded and tested (tests/lab).

HOST ?= svm
ACCEL ?=
LAB = BAWN_BUILD=$(B) tests/lab/lab --kernel $(KERNEL_cloud) --host $(HOST)

ifneq ($(and $(KERNEL_cloud),$(wildcard /boot/vmlinuz-$(KERNEL_cloud)),$(wildcard /bin/busybox)),)
lab_ready := y
else
skip_lab := lab:~no~Debian~$(KERNEL_SERIES)~cloud~kernel~or~no~static~busybox
endif

lab_flags := $(subst c11,gnu11,$(common)) -O2 -g -static -pthread -Itests/lab/guests -Itests/lab/tests
# tests/lab/tests/x_test.c is the program x; what has another name there serves all of them.
lab_support := $(wildcard tests/lab/guests/*.[cS]) \
	$(filter-out %_test.c,$(wildcard tests/lab/tests/*.c))
lab_support_objs := $(addprefix $(B)/obj/lab/,$(addsuffix .o,$(basename $(lab_support))))
lab_tests := $(patsubst tests/lab/tests/%_test.c,$(B)/lab/tests/%,$(wildcard tests/lab/tests/*_test.c)) \
	$(patsubst tests/lab/tests/%.sh,$(B)/lab/tests/%.sh,$(wildcard tests/lab/tests/*.sh))

.PHONY: lab-programs lab-test check-soak lab-shell bench bench-vmm bench-exit demo-run need-lab

$(B)/obj/lab/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(lab_flags) -MMD -MP -c -o $@ $<
$(B)/obj/lab/%.o: %.S
	@mkdir -p $(@D)
	$(call say,AS,$@)
	$(Q)$(CC) $(lab_flags) -MMD -MP -c -o $@ $<
$(B)/obj/lab/tests/lab/tests/replay_test.o $(B)/obj/asan/tests/unit/sim/replay_test.o: \
	tests/lab/tests/replay_expected.txt
# A boot sector is 32-bit code for the linker, in segments of 16 bits.
$(B)/obj/lab/tests/lab/disk/sector.o: tests/lab/disk/sector.S
	@mkdir -p $(@D)
	$(call say,AS,$@)
	$(Q)$(CC) -m16 -c -o $@ $<
$(B)/lab/tests/%.sh: tests/lab/tests/%.sh
	@mkdir -p $(@D)
	$(Q)install -m 755 $< $@
$(B)/lab/tests/%: $(B)/obj/lab/tests/lab/tests/%_test.o $(lab_support_objs)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -static -pthread -Wl,--no-warnings -o $@ $^ -lcrypto

# The target kernel-ioctl on system calls (fuzz/lab), with its seeds and past finds. Of a fixed place
# in high addresses, for those of the simulation are below.
lab_fuzz_flags := $(common) -O2 -g -fPIE -pthread
lab_fuzz_src := $(wildcard fuzz/lab/*.c) fuzz/kernel/ioctl.c fuzz/kernel/common.c \
	fuzz/sim/input.c fuzz/sim/vm.c
lab_fuzz_objs := $(addprefix $(B)/obj/labfuzz/,$(lab_fuzz_src:.c=.o))
$(B)/obj/labfuzz/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(lab_fuzz_flags) -MMD -MP -c -o $@ $<
$(B)/lab/tests/fuzz_ioctl: $(lab_fuzz_objs)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -static-pie -pthread -o $@ $^
$(B)/lab/fuzz/made: $(wildcard fuzz/*.py fuzz/regressions/kernel-ioctl/* fuzz/dict/kernel-ioctl.dict)
	$(call say,SEEDS,$(@D))
	$(Q)rm -rf $(@D) && mkdir -p $(@D)/corpus
	$(Q)python3 -B fuzz/seeds.py kernel-ioctl $(@D)/corpus
	$(Q)$(foreach f,$(wildcard fuzz/regressions/kernel-ioctl/*),cp $(f) $(@D)/corpus &&) :
	$(Q)cp fuzz/dict/kernel-ioctl.dict $(@D)/words
	@touch $@
lab_tests += $(B)/lab/tests/fuzz_ioctl $(B)/lab/fuzz/made

# The Debian guest: the same unmodified kernel, and an initrd of busybox and our test programs.
guest_programs := $(patsubst tests/lab/guest-initrd/%.c,$(B)/lab/guest-bin/%, \
	$(wildcard tests/lab/guest-initrd/*.c))
guest_files := $(wildcard tests/lab/guest-initrd/init) $(guest_programs)
$(B)/lab/guest-bin/%: $(B)/obj/lab/tests/lab/guest-initrd/%.o
	@mkdir -p $(@D)
	$(Q)$(CC) -static -pthread -s -o $@ $^
$(B)/lab/guest/vmlinuz: /boot/vmlinuz-$(KERNEL_cloud)
	@mkdir -p $(@D)
	$(Q)cp $< $@
$(B)/lab/guest/initrd: $(guest_files) tests/lab/initramfs.py
	@mkdir -p $(@D)
	$(call say,CPIO,$@)
	$(Q)tests/lab/initramfs.py $@ $(KERNEL_cloud) $(guest_files)
# A guest that attacks the VMM: bare code with a PVH entry.
hostile_flags := -std=gnu11 $(warn) -O2 -ffreestanding -fno-pic -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fno-asynchronous-unwind-tables
$(B)/lab/guest/hostile.elf: $(wildcard tests/lab/hostile/*.[chS])
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(hostile_flags) -no-pie -nostdlib -static -Wl,-z,noexecstack,-Ttext-segment=0x100000,-e,entry,--build-id=none \
		-o $@ $(filter %.c %.S,$^)
# Guests that are not Linux, for QEMU: a boot sector, GRUB where it is installed; an empty qcow2.
$(B)/lab/guest/sector.img: $(B)/obj/lab/tests/lab/disk/sector.o
	@mkdir -p $(@D)
	$(Q)$(LD) -m elf_i386 -Ttext 0x7c00 --oformat binary -o $@ $<
$(B)/lab/guest/grub.img: tests/lab/disk/grub
	@mkdir -p $(@D)
	$(call say,GRUB,$@)
	$(Q)tests/lab/disk/grub $@
$(B)/lab/guest/empty.qcow2:
	@mkdir -p $(@D)
	$(Q)qemu-img create -q -f qcow2 $@ 64M
# A whole Debian system, where it can be made; and an image for what is written over it in a host,
# whose disk it is. Its packages are unpacked once.
$(B)/lab/debian.ext4: tests/lab/debian-root/make tests/lab/debian-root/load
	@mkdir -p $(@D)
	$(call say,DEBIAN,$@)
	$(Q)tests/lab/debian-root/make $(abspath $@ $(B)/lab/debian.tree) || echo "lab: no Debian system: its tests are skipped" >&2
$(B)/lab/guest/debian.qcow2:
	@mkdir -p $(@D)
	$(Q)qemu-img create -q -u -f qcow2 -b /dev/vda -F raw $@ 512M
guest_disks := sector.img $(if $(wildcard /usr/bin/qemu-img),empty.qcow2 debian.qcow2) \
	$(if $(wildcard /usr/bin/grub-mkimage /usr/lib/grub/i386-pc/boot.img),grub.img)
debian_ready := $(and $(wildcard /usr/sbin/debootstrap),$(filter 0,$(shell id -u)))
guest_images := $(if $(lab_ready),$(addprefix $(B)/lab/guest/,vmlinuz initrd hostile.elf $(guest_disks)) \
	$(if $(debian_ready),$(B)/lab/debian.ext4))

$(B)/bench/kvmbench: $(B)/obj/lab/tests/bench/kvmbench.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -static -pthread -o $@ $^

lab-programs: $(lab_tests) $(guest_images) $(B)/bench/kvmbench

need-lab:
	@$(if $(lab_ready),:,echo 'no lab here: $(subst ~, ,$(skip_lab)); run "make deps"' >&2; exit 1)

# On stock KVM a tree whose module does not build at the moment can be tried too.
lab_built := need-lab programs lab-programs \
	$(if $(filter kvm,$(ACCEL)),,$(filter $(B)/kernel/cloud/%,$(modules)))
lab-test: $(lab_built) ## run the lab's tests, or TEST=name; ACCEL=kvm runs it on stock KVM
	@$(LAB) $(if $(ACCEL),--accel $(ACCEL)) test $(TEST)
# On each host that the list names: one that fails does not keep the next from its own.
soak_hosts = $(if $(TEST),$(HOST),$(shell awk '!/^\#/ {print $$3}' tests/lab/soak.list | sort -u))
check-soak: $(lab_built) ## the lab's tests that take too long for make check, or TEST=name
	@status=0; $(foreach HOST,$(soak_hosts),$(LAB) --list soak.list \
		$(if $(ACCEL),--accel $(ACCEL)) test $(TEST) || status=1; )exit $$status
lab-shell: $(lab_built) ## a shell in the lab host, with bawn.ko loaded and the tree's programs
	@$(LAB) shell
bench: $(lab_built) ## compare bawn.ko with kvm_amd, and SNP with plain guests, in instructions
	@BAWN_BUILD=$(B) tests/bench/bench --kernel $(KERNEL_cloud) --host $(HOST)
bench-vmm: $(lab_built) ## compare bawn run with QEMU's microvm on stock KVM: exits, memory, system calls
	@BAWN_BUILD=$(B) tests/bench/bench vmm --kernel $(KERNEL_cloud) --host $(HOST)
$(B)/bench/count.so: tests/bench/count.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(common) -O2 -shared -fPIC -fvisibility=hidden -o $@ $<
bench-exit: $(lab_built) $(B)/bench/count.so ## where the instructions of WHAT="NAME..." go, function by function
	@BAWN_BUILD=$(B) tests/bench/exit-cost --kernel=$(KERNEL_cloud) --host=$(HOST) $(WHAT)
# The demo's guest: the same, with the agent, and what opens an encrypted disk.
$(B)/lab/attest-initrd: $(guest_files) $(B)/bin/bawn-agent tests/lab/initramfs.py
	@mkdir -p $(@D)
	$(call say,CPIO,$@)
	$(Q)tests/lab/initramfs.py $@ $(KERNEL_cloud) --module dm_crypt --module xts \
		--module algif_skcipher --program /usr/sbin/cryptsetup $(guest_files) $(B)/bin/bawn-agent
demo-run: need-lab all $(if $(lab_ready),$(B)/lab/attest-initrd)
	@tests/lab/demo $(KERNEL_cloud)
