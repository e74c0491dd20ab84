# SPDX-License-Identifier: Apache-2.0
# The module in userspace (fuzz/sim): libsim-<variant>.a has kernel/core, measure, snp and svm,
# unchanged, on the simulated kernel; for each variant of a fuzz target (mk/fuzz.mk), msan, and asan
# (the unit tests). The simulation itself is never instrumented for coverage: fuzzers see the module.

# Constants of the architecture come from the kernel's own headers.
sim_headers := $(lastword $(shell ls -d /usr/src/linux-headers-$(KERNEL_SERIES)*-common 2>/dev/null | sort -V))

# Userspace code in it: the secure processor, the input, and a VM as targets begin with one.
sim_user_src := fuzz/sim/firmware.c fuzz/sim/input.c fuzz/sim/vm.c $(firmware_src)
sim_src := $(filter-out $(sim_user_src) fuzz/sim/snp_hw.c,$(wildcard fuzz/sim/*.c))
# snp_hw.c is hw.c. Of the software platform: what commands and the RMP are.
sim_module_src := $(wildcard $(addsuffix /*.c,kernel/core kernel/measure kernel/svm)) \
	$(filter-out kernel/snp/hw.c,$(wildcard kernel/snp/*.c)) \
	fuzz/sim/snp_hw.c platform/kmod/rmp.c platform/kmod/command.c

# The kernel's language, and warnings as kernel/Kbuild has them.
sim_includes := -Ifuzz/sim/include -I. -Ikernel/core -Ikernel -Iinclude -Iplatform \
	-idirafter $(sim_headers)
sim_warn := -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wno-type-limits -Wno-shift-negative-value -Wno-pointer-sign \
	-Wno-address-of-packed-member
sim_common := $(filter-out -std=c11 $(includes) -Wvla,$(common)) -std=gnu11 -fno-strict-aliasing -fwrapv \
	$(sim_warn) $(sim_includes)

cc_msan = $(CLANG)
flags_msan := $(flags_bare) -fsanitize=memory,fuzzer-no-link -fno-sanitize-recover=all
$(eval $(call variant,msan))

# Of a variant's flags all but its language; and of these all but coverage.
comma := ,
sim_kept = $(filter -O% -g% -f%,$(1))
sim_uncovered = $(subst $(comma)fuzzer-no-link,,$(filter-out $(cov_flags),$(1)))
# The machine itself is not what is looked at: it is fast.
sim_fast = $(patsubst -O1,-O2,$(1))

# An argument stands where userspace put it, be that nowhere: where its members are is computed, and
# the kernel's copies look what is there; nor do they know alignment.
sim_unaligned := -fno-sanitize=alignment,null,pointer-overflow

# The one name that the simulation puts something else behind: the backend that main.c takes.
sim_backend := '-Dbawn_svm_ops=(*sim_backend_ops)'
# SVM's instructions, which are the model's here.
sim_insn := kernel/svm/main.o kernel/svm/vcpu.o kernel/svm/es.o

define sim_variant
cc_module-$(1) = $$(cc_$(1))
cc_sim-$(1) = $(if $(filter asan oss,$(1)),$$(CC),$$(CLANG))
cc_user-$(1) = $$(cc_sim-$(1))
flags_module-$(1) := $(sim_common) $(if $(filter asan,$(1)),,$(clang_warn)) $(call sim_kept,$(flags_$(1))) \
	$(sim_unaligned)
flags_sim-$(1) := $(sim_common) $(if $(filter asan,$(1)),,$(clang_warn)) \
	$(call sim_fast,$(call sim_uncovered,$(call sim_kept,$(flags_$(1)))))
flags_user-$(1) := $(call sim_fast,$(call sim_uncovered,$(flags_$(1))))
endef
define sim_rules
$(call variant,module-$(1))
$(call variant,sim-$(1))
$(call variant,user-$(1))
$(B)/obj/module-$(1)/kernel/core/main.o: private flags_module-$(1) += $(sim_backend)
$(addprefix $(B)/obj/module-$(1)/,$(sim_insn)): private flags_module-$(1) += \
	-include fuzz/sim/svm_insn.h
$(B)/lib/libsim-$(1).a: $(call objs,sim-$(1),$(sim_src)) $(call objs,user-$(1),$(sim_user_src)) \
	$(call objs,module-$(1),$(sim_module_src))
# Targets and tests that know the module's types.
$(B)/obj/$(1)/fuzz/kernel/%.o $(B)/obj/$(1)/tests/unit/sim/%.o: flags_$(1) := $(flags_module-$(1))
endef
sim_variants := asan msan $(fuzz_variants)
$(foreach v,$(sim_variants),$(eval $(call sim_variant,$(v))))
$(foreach v,$(sim_variants),$(eval $(call sim_rules,$(v))))

# What calls libcrypto, which has no MSan, has none itself.
$(B)/obj/user-msan/fuzz/sim/firmware.o $(call objs,user-msan,$(firmware_src)): \
	flags_user-msan := $(filter-out -fsanitize=memory%,$(flags_user-msan)) -DSIM_MSAN=1

# MSan for those targets alone of which next to nothing is another library's.
$(eval $(call fuzz_room,kernel,msan,$(B)/fuzz/msan,$(CLANG) -fsanitize=memory$(comma)fuzzer,))
.PHONY: fuzz-msan
msan_programs := $(addprefix $(B)/fuzz/msan/,$(filter-out kernel-mmio_decode,$(call fuzz_names,kernel)))
fuzz-msan fuzz-smoke: $(msan_programs)
fuzz-msan: ## build the module's fuzz targets with MSan

$(B)/unit/sim/replay_test: $(call objs,user-asan,fuzz/replay/program.c) \
	$(call objs,module-asan,fuzz/replay/cpu.c)
$(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/sim/*_test.c)): $(B)/lib/libsim-asan.a
# Tests of single files of kernel/ and platform/kmod play the others themselves.
$(B)/obj/asan/tests/unit/kernel/%.o: flags_asan := $(filter-out -Wmissing-prototypes,$(flags_module-asan)) \
	-Iplatform/kmod
# A report of the simulated firmware, to a verifier.
$(B)/unit/sim/snp_test: $(B)/lib/libattest-asan.a

# Static checks, in the same language.
# (snp_hw.c is a source of kernel/ with another file around it.)
sim_targets := $(wildcard fuzz/kernel/*.c) fuzz/replay/cpu.c
sim_tidy := $(patsubst %.c,$(B)/lint/tidy/%,$(filter-out fuzz/sim/snp_hw.c,$(sim_src)) $(sim_targets))
$(sim_tidy): $(B)/lint/tidy/%: %.c .clang-tidy $(wildcard fuzz/sim/*.h fuzz/sim/include/sim/*.h kernel/*/*.h)
	@mkdir -p $(@D)
	$(call say,TIDY,$<)
	$(Q)clang-tidy --quiet $< -- $(sim_common) $(clang_warn) >$@.log 2>&1 || { cat $@.log; exit 1; }
	@touch $@
cppcheck: $(B)/lint/cppcheck-sim
$(B)/lint/cppcheck-sim: $(sim_src) $(sim_targets) $(wildcard fuzz/*/*.h fuzz/sim/include/sim/*.h)
	@mkdir -p $(@D)
	$(call say,CPPCHK,fuzz/sim)
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --error-exitcode=1 -Ifuzz/sim/include -I. $(sim_src) $(sim_targets)
	@touch $@
ifneq ($(sim_headers),)
tidy: $(sim_tidy)
endif

# Programs on the simulated machine; the lab runs the same on a real backend.
$(B)/obj/module-fuzz/fuzz/replay/%.o: private flags_module-fuzz := \
	$(subst $(comma)fuzzer-no-link,,$(flags_module-fuzz))
$(B)/fuzz/fuzz-replay: $(call objs,user-fuzz,fuzz/replay/main.c fuzz/replay/program.c) \
	$(call objs,module-fuzz,fuzz/replay/cpu.c) $(B)/lib/libsim-fuzz.a
	$(call say,LD,$@)
	$(Q)$(CLANG) -fsanitize=address,undefined,fuzzer-no-link -o $@ $^ -lcrypto
