# SPDX-License-Identifier: Apache-2.0
# The software platform's userspace: the secure processor's model (platform/firmware) and the
# daemon that serves it to bawn_platform.ko. Included after mk/user.mk, before mk/lint.mk.

firmware_src := $(wildcard platform/firmware/*.c)
platformd_src := $(wildcard platform/firmware/daemon/*.c)
user_src += $(firmware_src) $(platformd_src)

ifneq ($(have_libs),)
programs += $(B)/bin/bawn-platformd
programs: $(B)/bin/bawn-platformd
endif
$(B)/bin/bawn-platformd: $(call objs,release,$(platformd_src) $(firmware_src))
$(B)/bin/bawn-platformd: libs := -lseccomp -lcrypto

# tests/unit/firmware/x_test.c: the model, libbawn-attest that judges what it makes, and what
# the tests share. The test of the daemon runs the program itself.
$(B)/lib/libfirmware-asan.a: $(call objs,asan,$(firmware_src))
firmware_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/firmware/*_test.c))
firmware_support := $(filter-out %_test.c,$(wildcard tests/unit/firmware/*.c))
$(firmware_tests): $(call objs,asan,$(firmware_support)) $(B)/lib/libfirmware-asan.a \
	$(B)/lib/libattest-asan.a
$(B)/unit/firmware/daemon_test: | $(B)/bin/bawn-platformd

# Fuzzing: commands and guest messages, as bawn_platform.ko would carry them.
$(B)/fuzz/platform-firmware: $(call objs,fuzz,fuzz/platform/firmware.c $(firmware_src))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CLANG) -fsanitize=address,undefined,fuzzer -o $@ $^ -lcrypto

.PHONY: fuzz-platform
fuzz-platform: $(B)/fuzz/platform-firmware ## run the secure processor's fuzz target for a while
	@mkdir -p $(B)/fuzz/crashes $(B)/fuzz/corpus/platform-firmware
	$< -runs=$(or $(FUZZ_RUNS),20000) -max_total_time=$(or $(FUZZ_SECONDS),30) -seed=1 \
		-timeout=10 -rss_limit_mb=2048 -max_len=16384 \
		-artifact_prefix=$(B)/fuzz/crashes/platform-firmware- $(B)/fuzz/corpus/platform-firmware
