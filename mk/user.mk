# SPDX-License-Identifier: Apache-2.0
# Userspace: the shipped programs and the unit tests. One object tree per variant of flags:
# release (shipped), asan (unit tests), clang (compile check).

warn := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
# KVM's structures end in flexible arrays, which their users put before the elements.
clang_warn := -Wno-gnu-variable-sized-type-not-at-end
includes := -I. -Iinclude -Ilaunch -Ivmm -Iattest
common := -std=c11 -D_GNU_SOURCE= $(warn) $(includes)

flags_release := $(common) $(harden)
flags_asan := $(common) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
flags_pic := $(filter-out -fPIE,$(flags_release)) -fPIC -fvisibility=hidden
flags_clang := $(common) $(clang_warn) $(harden_clang)
cc_release = $(CC)
cc_asan = $(CC)
cc_pic = $(CC)
cc_clang = $(CLANG)

libs := -ljansson -lcrypto -lpthread
have_header = $(shell echo '\#include <$(1)>' | $(CC) -E -x c - >/dev/null 2>&1 && echo y)
have_libs := $(and $(call have_header,jansson.h),$(call have_header,openssl/evp.h),$(call have_header,seccomp.h))

launch_src := $(wildcard launch/*.c)
# What a machine that runs calls stands together, and first: fewer pages of the program are in memory then.
vmm_hot := $(patsubst %,vmm/%.c,bus bufs devices dirty disk disk_io images ioapic link loop machine net pci platform rate \
	sandbox serial slots stream supervise threads uring vcpu vdev virtio virtio_balloon virtio_blk virtio_console virtio_net \
	virtio_rng virtq vm wires)
vmm_src := $(vmm_hot) $(filter-out $(vmm_hot) vmm/main.c vmm/late.c,$(wildcard vmm/*.c))
attest_src := $(wildcard attest/lib/*.c)
measure_src := $(wildcard attest/measure/*.c)
verify_src := $(wildcard attest/verify/*.c)
common_src := $(wildcard common/*.c)
base_src := $(filter-out common/confine_seccomp.c,$(common_src)) # what needs no libseccomp
confine_src := $(wildcard attest/common/*.c) common/confine_seccomp.c
user_src := $(launch_src) $(wildcard vmm/*.c) $(attest_src) $(measure_src) $(verify_src) \
	$(sort $(confine_src) $(common_src))
objs = $(patsubst %.c,$(B)/obj/$(1)/%.o,$(2))

ifeq ($(have_libs),)
skip_programs := programs:~no~jansson,~OpenSSL~or~libseccomp~headers
else
programs := $(B)/bin/bawn $(B)/bin/bawn-measure $(B)/bin/bawn-verify
attest_libs := $(B)/lib/libbawn-attest.so $(B)/lib/libbawn-attest.a
endif

.PHONY: programs unit unit-programs
programs: $(programs) $(attest_libs) ## build the commands and libbawn-attest in build/bin and build/lib

define variant
$(B)/obj/$(1)/%.o: %.c mk/harden.mk
	@mkdir -p $$(@D)
	$$(call say,$(if $(filter clang,$(1)),CLANG,CC),$$@)
	$$(Q)$$(cc_$(1)) $$(flags_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach v,release pic asan clang,$(eval $(call variant,$(v))))
$(B)/obj/release/%.o $(B)/obj/pic/%.o: $(harden_file)

# bawn is not linked to OpenSSL: vmm/openssl.S has an entry for each name of OpenSSL's kind that it wants.
bawn_objs := $(call objs,release,$(vmm_src) $(launch_src) $(base_src)) $(B)/lib/libbawn-policy.a $(B)/lib/libbawn-attest.a
late_objs := $(call objs,release,vmm/late.c) $(B)/late/openssl.o
$(B)/late/openssl.calls: $(bawn_objs)
	@mkdir -p $(@D)
	$(Q)nm -u $^ | sed -nE 's/^ +U ((SSL|TLS)_.*)/late ssl, \1/p; t; s/^ +U (([A-Z][A-Z0-9]*|d2i)_.*)/late crypto, \1/p' | \
		LC_ALL=C sort -u >$@
$(B)/late/openssl.o: vmm/openssl.S $(B)/late/openssl.calls
	$(call say,CC,$@)
	$(Q)$(CC) -fPIE -fcf-protection=full -Wa,-I$(@D) -c -o $@ $<
$(B)/bin/bawn: $(call objs,release,vmm/main.c) $(bawn_objs) $(late_objs)
$(B)/bin/bawn: libs := -ljansson -lpthread
$(B)/bin/bawn-measure: $(call objs,release,$(measure_src) $(confine_src) $(base_src) $(launch_src)) \
	$(B)/lib/libbawn-attest.a
$(B)/bin/bawn-verify: $(call objs,release,$(verify_src) $(confine_src) $(base_src)) \
	$(B)/lib/libbawn-attest.a
$(B)/bin/bawn-verify: libs := -lcrypto -lseccomp
$(B)/bin/bawn-measure: libs += -lseccomp
$(B)/bin/%:
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -o $@ $^ $(libs)

# libbawn-attest. The compiled-in roots are taken in by the assembler from attest/roots/.
$(B)/obj/pic/attest/lib/roots.o $(B)/obj/asan/attest/lib/roots.o: $(wildcard attest/roots/*.der)

attest_abi := 0
attest_so := $(B)/lib/libbawn-attest.so.$(attest_abi)
attest_map := attest/lib/libbawn-attest.map
$(attest_so): $(call objs,pic,$(attest_src)) $(attest_map)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_so) -o $@ $(filter %.o,$^) -Wl,-soname,$(@F) \
		-Wl,--version-script=$(attest_map) -lcrypto
$(B)/lib/libbawn-attest.so: $(attest_so)
	$(Q)ln -sf $(<F) $@

# One object in the archive, in which all but the public names are local: a program may use
# the library's internal names for its own.
$(B)/lib/libbawn-attest.o: $(call objs,pic,$(attest_src))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -r -nostdlib -o $@ $^ && objcopy --localize-hidden $@
$(B)/lib/libbawn-attest.a: $(B)/lib/libbawn-attest.o
$(B)/lib/libattest-asan.a: $(call objs,asan,$(attest_src))
$(B)/lib/%.a:
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

libdir ?= $(prefix)/lib
attest_headers := $(wildcard $(addprefix include/bawn/,attest.h status.h measure_launch.h vmsa.h))
attest_version = $(shell sed -n 's/^.define BAWN_VERSION "\(.*\)"/\1/p' include/bawn/version.h)
man_pages := $(wildcard docs/man/*.1 docs/man/*.3)
install_to = install -d $(DESTDIR)$(1) && install -m $(2) $(3) $(DESTDIR)$(1)

.PHONY: install-attest
install: install-attest
install-attest: $(attest_libs) $(attest_so) # the library, its headers, man pages, completions
	$(call install_to,$(libdir),755,$(attest_so))
	$(call install_to,$(libdir),644,$(B)/lib/libbawn-attest.a)
	ln -sf $(notdir $(attest_so)) $(DESTDIR)$(libdir)/libbawn-attest.so
	$(call install_to,$(prefix)/include/bawn,644,$(attest_headers))
	install -d $(DESTDIR)$(libdir)/pkgconfig
	sed 's|@prefix@|$(prefix)|; s|@libdir@|$(libdir)|; s|@version@|$(attest_version)|' \
		attest/lib/bawn-attest.pc.in >$(DESTDIR)$(libdir)/pkgconfig/bawn-attest.pc
	$(call install_to,$(prefix)/share/man/man1,644,$(filter %.1,$(man_pages)))
	$(call install_to,$(prefix)/share/man/man3,644,$(filter %.3,$(man_pages)))
	install -d $(DESTDIR)$(prefix)/share/bash-completion/completions
	for c in $(notdir $(basename $(wildcard attest/completion/*.bash))); do install -m 644 \
		attest/completion/$$c.bash \
		$(DESTDIR)$(prefix)/share/bash-completion/completions/$$c || exit 1; done

# Tests of the commands and of the installed library, on what is shipped.
attest_tests := $(wildcard tests/attest/*-cli.py tests/attest/*.sh) \
	$(patsubst tests/attest/%.c,$(B)/attest/%,$(wildcard tests/attest/*_test.c))
$(B)/attest/sandbox_test: $(call objs,release,tests/attest/sandbox_test.c $(confine_src) common/confine.c)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -o $@ $^ -lcmocka -lcrypto -lseccomp

.PHONY: attest-test
attest-test: $(programs) $(attest_libs) $(filter $(B)/%,$(attest_tests)) ## test bawn-verify, bawn-measure and the installed library
	@BAWN_BUILD=$(B) tests/tap.py attest $(attest_tests)

# Unit tests. tests/unit/<room>/x_test.c links its room's sources; a test of kernel code names
# them in a line "sources: kernel/core/insn.c ..." near its top, and fuzz/sim (mk/sim.mk) is its
# kernel; a test against another library names that in a line "libs: -lx".
unit_src := $(wildcard tests/unit/*/*_test.c)
ifeq ($(wildcard /usr/src/linux-headers-*-common),)
unit_src := $(filter-out tests/unit/kernel/% tests/unit/sim/%,$(unit_src))
endif
unit_programs := $(patsubst tests/unit/%.c,$(B)/unit/%,$(unit_src))
unit_objs_launch := $(call objs,asan,$(launch_src)) $(B)/lib/libattest-asan.a
unit_objs_vmm := $(call objs,asan,$(vmm_src) $(launch_src) $(base_src)) \
	$(B)/lib/libattest-asan.a
$(B)/lib/libcommon-asan.a: $(call objs,asan,$(common_src))
unit_objs_lab := $(call objs,asan,$(addprefix fuzz/lab/,mutate.c kcov.c memory.c))
unit_objs_common := $(B)/lib/libcommon-asan.a
# What attest's tests share: the files there that are not tests themselves.
unit_attest_shared := $(filter-out %_test.c,$(wildcard tests/unit/attest/*.c))
$(B)/lib/libunit-attest.a: $(call objs,asan,$(unit_attest_shared))
unit_objs_attest := $(if $(unit_attest_shared),$(B)/lib/libunit-attest.a) $(B)/lib/libattest-asan.a
unit_libs = $(shell sed -n '1,5s,^// libs: *,,p' $(1))
unit_kernel_src = $(shell sed -n '1,20s,^[/* ]*sources: *\([^*]*\).*,\1,p' $(1))

define unit_program
$(B)/unit/$(1): $(B)/obj/asan/tests/unit/$(1).o $(if $(filter kernel/%,$(1)), \
	$(call objs,module-asan,$(call unit_kernel_src,tests/unit/$(1).c)) $(B)/lib/libsim-asan.a, \
	$(unit_objs_$(firstword $(subst /, ,$(1)))))
$(B)/unit/$(1): libs += $(call unit_libs,tests/unit/$(1).c)
endef
$(foreach t,$(unit_src),$(eval $(call unit_program,$(patsubst tests/unit/%.c,%,$(t)))))

$(B)/unit/%:
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $^ -lcmocka $(libs)

unit-programs: $(unit_programs)
unit: unit-programs ## build and run the unit tests (address and undefined-behaviour sanitizers on)
	@tests/tap.py unit $(unit_programs)


