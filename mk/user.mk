# SPDX-License-Identifier: Apache-2.0
# Userspace: the shipped programs and the unit tests. One object tree per variant of flags:
# release (shipped), asan (unit tests), clang (compile check).

warn := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
# KVM's structures end in flexible arrays, which their users put before the elements.
clang_warn := -Wno-gnu-variable-sized-type-not-at-end
includes := -I. -Iinclude -Ilaunch -Ivmm -Iattest
common := -std=c11 -D_GNU_SOURCE= $(warn) $(includes)
harden := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fPIE -fstack-protector-strong \
	-fstack-clash-protection -fcf-protection
harden_ld := -pie -Wl,-z,relro,-z,now,-z,noexecstack

flags_release := $(common) $(harden)
flags_asan := $(common) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
flags_pic := $(filter-out -fPIE,$(flags_release)) -fPIC -fvisibility=hidden
flags_clang := $(common) $(clang_warn) $(harden)
cc_release = $(CC)
cc_asan = $(CC)
cc_pic = $(CC)
cc_clang = $(CLANG)

libs := -ljansson -lcrypto -lpthread
have_header = $(shell echo '\#include <$(1)>' | $(CC) -E -x c - >/dev/null 2>&1 && echo y)
have_libs := $(and $(call have_header,jansson.h),$(call have_header,openssl/evp.h),$(call have_header,seccomp.h))

launch_src := $(wildcard launch/*.c)
vmm_src := $(filter-out vmm/main.c,$(wildcard vmm/*.c))
attest_src := $(wildcard attest/lib/*.c)
measure_src := $(wildcard attest/measure/*.c)
verify_src := $(wildcard attest/verify/*.c)
user_src := $(launch_src) $(wildcard vmm/*.c) $(attest_src) $(measure_src) $(verify_src)
objs = $(patsubst %.c,$(B)/obj/$(1)/%.o,$(2))

ifeq ($(have_libs),)
skip_programs := programs:~no~jansson,~OpenSSL~or~libseccomp~headers
else
programs := $(B)/bin/bawn $(B)/bin/bawn-measure $(if $(verify_src),$(B)/bin/bawn-verify)
endif

.PHONY: programs unit unit-programs
programs: $(programs) ## build build/bin/bawn and build/bin/bawn-measure

define variant
$(B)/obj/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(call say,$(if $(filter clang,$(1)),CLANG,CC),$$@)
	$$(Q)$$(cc_$(1)) $$(flags_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach v,release pic asan clang,$(eval $(call variant,$(v))))

$(B)/bin/bawn: $(call objs,release,vmm/main.c $(vmm_src) $(launch_src))
$(B)/bin/bawn-measure: $(call objs,release,$(measure_src) $(launch_src)) $(B)/lib/libbawn-attest.a
$(B)/bin/bawn-verify: $(call objs,release,$(verify_src)) $(B)/lib/libbawn-attest.a
$(B)/bin/bawn-verify: libs += -lseccomp
$(B)/bin/bawn-measure: libs += -lseccomp
$(B)/bin/%:
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -o $@ $^ $(libs)

# libbawn-attest. The compiled-in roots are taken in by the assembler from attest/roots/.
$(B)/obj/pic/attest/lib/roots.o $(B)/obj/asan/attest/lib/roots.o: $(wildcard attest/roots/*.der)
$(B)/lib/libbawn-attest.a: $(call objs,pic,$(attest_src))
$(B)/lib/libattest-asan.a: $(call objs,asan,$(attest_src))
$(B)/lib/%.a:
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# Unit tests. tests/unit/<room>/x_test.c links its room's sources; a test of kernel code names
# them in a line "sources: kernel/core/insn.c ..." near its top.
unit_src := $(wildcard tests/unit/*/*_test.c)
unit_programs := $(patsubst tests/unit/%.c,$(B)/unit/%,$(unit_src))
unit_objs_launch := $(call objs,asan,$(launch_src))
unit_objs_vmm := $(call objs,asan,$(vmm_src) $(launch_src))
unit_objs_attest := $(B)/lib/libattest-asan.a
unit_kernel_src = $(shell sed -n '1,20s,^[/* ]*sources: *\([^*]*\).*,\1,p' $(1))

$(B)/obj/asan/kernel/%.o $(B)/obj/asan/tests/unit/kernel/%.o: \
	flags_asan := $(filter-out -std=c11 $(includes) -Wvla -Wmissing-prototypes,$(flags_asan)) \
	-std=gnu11 -Wno-unused-parameter -Wno-sign-compare \
	-Itests/unit/kernel/include -Ikernel/core -Ikernel -Iinclude

define unit_program
$(B)/unit/$(1): $(B)/obj/asan/tests/unit/$(1).o $(if $(filter kernel/%,$(1)), \
	$(call objs,asan,$(call unit_kernel_src,tests/unit/$(1).c)),$(unit_objs_$(firstword $(subst /, ,$(1)))))
endef
$(foreach t,$(unit_src),$(eval $(call unit_program,$(patsubst tests/unit/%.c,%,$(t)))))

$(B)/unit/%:
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $^ -lcmocka $(libs)

unit-programs: $(unit_programs)
unit: unit-programs ## build and run the unit tests (address and undefined-behaviour sanitizers on)
	@tests/tap.py unit $(unit_programs)


