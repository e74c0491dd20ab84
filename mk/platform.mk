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
$(B)/bin/bawn-platformd: $(call objs,release,$(platformd_src) $(firmware_src) $(common_src))
$(B)/bin/bawn-platformd: libs := -lseccomp -lcrypto

# tests/unit/firmware/x_test.c: the model, libbawn-attest that judges what it makes, and what
# the tests share. The test of the daemon runs the program itself.
$(B)/lib/libfirmware-asan.a: $(call objs,asan,$(firmware_src))
firmware_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/firmware/*_test.c))
firmware_support := $(filter-out %_test.c,$(wildcard tests/unit/firmware/*.c))
$(firmware_tests): $(call objs,asan,$(firmware_support)) $(B)/lib/libfirmware-asan.a \
	$(B)/lib/libattest-asan.a
$(B)/unit/firmware/daemon_test: | $(B)/bin/bawn-platformd
