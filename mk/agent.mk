# SPDX-License-Identifier: Apache-2.0
# bawn-agent, the guest's part of attestation: one static program. After mk/jose.mk.

agent_only := guest/agent/main.c guest/agent/static.c
agent_src := $(filter-out $(agent_only),$(wildcard guest/agent/*.c))
user_src += $(agent_src) $(agent_only)

ifneq ($(and $(have_libs),$(call have_header,openssl/ssl.h)),)
programs += $(B)/bin/bawn-agent
programs: $(B)/bin/bawn-agent
# The guest of tests/attest/ratls-cli.py.
attest-test: $(B)/tests/kbs-guest
else
skip_programs += bawn-agent:~no~OpenSSL~headers
endif
# The linker warns of dlopen, although guest/agent/static.c has replaced it: the C library has its
# own below another name.
$(B)/bin/bawn-agent: $(call objs,release,$(agent_only) $(agent_src) $(jose_src) $(base_src))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -static-pie -Wl,--no-warnings $(harden_any_ld) -Wl,--gc-sections -o $@ $^ \
		-ljansson -lssl -lcrypto -lm -lpthread

# tests/unit/agent/x_test.c, and the command at work against a server of the tests.
$(B)/lib/libagent-asan.a: $(call objs,asan,$(agent_src) $(base_src))
agent_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/agent/*_test.c))
$(agent_tests): $(B)/lib/libagent-asan.a $(B)/lib/libjose-asan.a
$(agent_tests): libs := -lssl $(libs)

$(B)/agent/jose_tool: $(call objs,asan,tests/agent/jose_tool.c) $(B)/lib/libjose-asan.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $^ -ljansson -lcrypto

.PHONY: agent-test
agent-test: $(B)/bin/bawn-agent $(B)/bin/bawn-verify $(B)/bin/bawn-attestd $(B)/agent/jose_tool ## test bawn-agent, and JOSE with other libraries
	@BAWN_BUILD=$(B) tests/tap.py agent $(wildcard tests/agent/*-*.py)

fuzz_rooms += agent
fuzz_lib_agent := guest/agent/tpm.c
fuzz_ld_agent := -lcrypto
