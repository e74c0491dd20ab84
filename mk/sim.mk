# SPDX-License-Identifier: Apache-2.0
# The module in userspace (fuzz/sim): libsim-<variant>.a has kernel/core, measure, snp and svm,
# unchanged, on the simulated kernel. Variants: asan (gcc; the unit tests), fuzz (libFuzzer), afl,
# msan. The simulation itself is never instrumented for coverage, so that fuzzers see the module.

# Constants of the architecture come from the kernel's own headers.
sim_headers := $(lastword $(shell ls -d /usr/src/linux-headers-$(KERNEL_SERIES)*-common 2>/dev/null | sort -V))

# Userspace code in it: the secure processor, and a VM as targets begin with one.
sim_user_src := fuzz/sim/firmware.c fuzz/sim/vm.c $(firmware_src)
sim_src := $(filter-out $(sim_user_src),$(wildcard fuzz/sim/*.c))
# hw.c is in snp_hw.c. Of the software platform: what commands and the RMP are.
sim_module_src := $(wildcard $(addsuffix /*.c,kernel/core kernel/measure kernel/svm)) \
	$(filter-out kernel/snp/hw.c,$(wildcard kernel/snp/*.c)) \
	platform/kmod/rmp.c platform/kmod/command.c

# The kernel's language, and warnings as kernel/Kbuild has them.
sim_includes := -Ifuzz/sim/include -I. -Ikernel/core -Ikernel -Iinclude -Iplatform \
	-idirafter $(sim_headers)
sim_warn := -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wno-type-limits -Wno-shift-negative-value -Wno-pointer-sign \
	-Wno-address-of-packed-member
sim_common := $(filter-out -std=c11 $(includes) -Wvla,$(common)) -std=gnu11 -fno-strict-aliasing -fwrapv \
	$(sim_warn) $(sim_includes)
sim_clang := $(sim_common) $(clang_warn) -O1 -g \
	-fno-omit-frame-pointer -fno-sanitize-recover=all
sim_coverage := -fsanitize=fuzzer-no-link

flags_sim-asan := $(sim_common) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
flags_sim-fuzz := $(sim_clang) -fsanitize=address,undefined
flags_sim-afl := $(flags_sim-fuzz)
flags_sim-msan := $(sim_clang) -fsanitize=memory
sim_sanitize := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all
flags_user-asan := $(flags_asan)
flags_user-fuzz := $(common) $(clang_warn) $(sim_sanitize) -fsanitize=address,undefined
flags_user-afl := $(flags_user-fuzz)
flags_user-msan := $(common) $(clang_warn) $(sim_sanitize) -fsanitize=memory
flags_module-asan := $(flags_sim-asan)
flags_module-fuzz := $(flags_sim-fuzz) $(sim_coverage)
flags_module-afl := $(flags_sim-fuzz)
flags_module-msan := $(flags_sim-msan) $(sim_coverage)
cc_sim-asan = $(CC)
cc_sim-fuzz = $(CLANG)
cc_sim-afl = $(CLANG)
cc_sim-msan = $(CLANG)
cc_user-asan = $(CC)
cc_user-fuzz = $(CLANG)
cc_user-afl = $(CLANG)
cc_user-msan = $(CLANG)
cc_module-asan = $(CC)
cc_module-fuzz = $(CLANG)
cc_module-afl = AFL_QUIET=1 afl-clang-fast
cc_module-msan = $(CLANG)

# The one name that the simulation puts something else behind: the backend that main.c takes.
sim_backend := '-Dbawn_svm_ops=(*sim_backend_ops)'

# SVM's instructions, which are the model's here.
sim_insn := kernel/svm/main.o kernel/svm/vcpu.o kernel/svm/es.o

define sim_variant
$(call variant,sim-$(1))
$(call variant,user-$(1))
$(call variant,module-$(1))
$(B)/obj/module-$(1)/kernel/core/main.o: private flags_module-$(1) += $(sim_backend)
$(addprefix $(B)/obj/module-$(1)/,$(sim_insn)): private flags_module-$(1) += \
	-include fuzz/sim/svm_insn.h
$(B)/lib/libsim-$(1).a: $(call objs,sim-$(1),$(sim_src)) $(call objs,user-$(1),$(sim_user_src)) \
	$(call objs,module-$(1),$(sim_module_src))
endef
$(foreach v,asan fuzz afl msan,$(eval $(call sim_variant,$(v))))

# Unit tests of the simulation itself, in its own language.
$(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/sim/*_test.c)): $(B)/lib/libsim-asan.a
$(B)/obj/asan/tests/unit/sim/%.o: flags_asan := $(flags_sim-asan)
