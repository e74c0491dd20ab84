# SPDX-License-Identifier: Apache-2.0
# guest/shim: the measured first stage of a directly booted SNP guest, a flat binary. The bytes
# depend on the compiler and the sources, not on where or when they are built.

shim_src := $(wildcard guest/shim/*.c)
# What runs in a unit test as well; the rest is the processor's.
shim_pure := $(filter-out guest/shim/cpu.c guest/shim/main.c,$(shim_src))
shim_objs := $(patsubst %,$(B)/guest/obj/%.o,guest/shim/start.S $(shim_src))
shim_flags := -std=c11 $(warn) -I. -Iinclude -O2 -ffreestanding -fno-pie -mno-red-zone \
	-mgeneral-regs-only -fstack-protector-strong -mstack-protector-guard=global -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-ident -fno-common -fno-strict-aliasing \
	-fno-delete-null-pointer-checks -fno-jump-tables -U_FORTIFY_SOURCE \
	-ffile-prefix-map=$(CURDIR)=. -Wframe-larger-than=2048
shim_ld := -nostdlib -static -no-pie -Wl,-T,guest/shim/shim.lds -Wl,--build-id=none \
	-Wl,-z,noexecstack -Wl,-z,norelro -Wl,--orphan-handling=error -Wl,--fatal-warnings

$(B)/guest/obj/%.o: % mk/shim.mk
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(shim_flags) -MMD -MP -c -o $@ $<
$(B)/guest/shim.elf: $(shim_objs) guest/shim/shim.lds
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(shim_ld) -o $@ $(shim_objs)
$(B)/guest/shim.bin: $(B)/guest/shim.elf
	$(call say,OBJCOPY,$@)
	$(Q)objcopy -O binary -j .text -j .rodata $< $@

.PHONY: shim
shim: $(B)/guest/shim.bin ## build the shim, build/guest/shim.bin
programs: $(B)/guest/shim.bin

user_src += $(shim_src)
$(patsubst %.c,$(B)/lint/tidy/%,$(shim_src)) $(B)/lint/cppcheck: $(wildcard guest/shim/*.h)

# Unit tests: the shim's C code on a model of a host (tests/unit/shim/machine.c), and its image
# in QEMU, with the sources from which it must be built again byte by byte.
shim_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/shim/*_test.c))
$(shim_tests): $(call objs,asan,$(shim_pure) tests/unit/shim/machine.c)
$(B)/unit/shim/image_test: tests/unit/shim/image_test.py $(B)/guest/shim.bin
	@mkdir -p $(@D)
	$(Q)install -m 755 $< $@
unit_programs += $(B)/unit/shim/image_test
unit-programs: $(B)/unit/shim/image_test
