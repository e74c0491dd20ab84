# SPDX-License-Identifier: Apache-2.0
# The service's judge and vault, and the reader of CoRIM. Included after mk/service.mk, before
# mk/lint.mk and mk/fuzz.mk.

corim_src := $(wildcard attest/corim/*.c)
judge_src := $(wildcard attest/service/judge/*.c)
vault_src := $(wildcard attest/service/vault/*.c)
user_src += $(corim_src)
vault_libs := -ltss2-esys -ltss2-mu -ltss2-tctildr -ltss2-rc
# Of the library's own, for the vault: the roots, which it does not give out.
$(B)/bin/bawn-attestd: $(call objs,release,$(corim_src) attest/lib/roots.c)
$(B)/bin/bawn-attestd: libs += $(vault_libs)

# What the tests link: both, all they stand on, and of the service's own what they share. The
# sandbox is not among it: it ends a program that has the sanitizers in it.
service_shared := $(addprefix attest/service/,config.c config_files.c config_listen.c \
	config_mirror.c config_position.c ipc.c journal.c)
$(B)/lib/libcorim-asan.a: $(call objs,asan,$(corim_src))
$(B)/lib/libvault-asan.a: $(call objs,asan,$(vault_src) $(judge_src) $(corim_src) \
	$(service_shared) $(store_src) $(log_src) $(jose_src) $(policy_src))

$(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/corim/*_test.c)): \
	$(B)/lib/libcorim-asan.a
vault_support := $(filter-out %_test.c,$(wildcard tests/unit/vault/*.c))
vault_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/vault/*_test.c \
	tests/unit/judge/*_test.c))
$(vault_tests): $(call objs,asan,$(vault_support) $(firmware_support) tests/unit/attest/pki.c \
	tests/unit/attest/quote_made.c) $(B)/lib/libvault-asan.a \
	$(B)/lib/libfirmware-asan.a $(B)/lib/libattest-asan.a
$(B)/unit/vault/state_server_test: $(call objs,asan,tests/unit/store/server.c)
$(vault_tests): libs += $(store_libs) $(vault_libs) -lm

fuzz_rooms += corim judge
fuzz_lib_corim := $(corim_src)
fuzz_ld_corim := -lcrypto
fuzz_lib_judge := $(filter-out %/main.c,$(judge_src)) $(jose_src) $(policy_src) $(attest_src)
fuzz_ld_judge := -Wl,--wrap=bawn_attest_verify -ljansson -lcrypto -lm
$(B)/obj/%/fuzz/judge/body.o: $(wildcard tests/vectors/tdx/*a187b0da.collateral-2025-05-27.json \
	tests/vectors/snp/milan-v3-vcek-05b7438a.vcek.der tests/vectors/snp/crl/milan.crl.der \
	tests/vectors/tpm/tpm_evidence.json)

# A guest for the tests of the whole service (tests/service/kbs-conformance.py).
$(B)/tests/kbs-guest: $(call objs,release,tests/service/kbs_guest.c tests/unit/firmware/rig.c \
		$(firmware_src)) $(B)/lib/libbawn-attest.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -o $@ $^ -lcmocka -ljansson -lcrypto
service-test: $(B)/tests/kbs-guest $(B)/bin/bawn-audit

# A token of NSS for tests/service/storage-pkcs11.py.
$(B)/tests/nss-token: $(call objs,release,tests/service/nss_token.c tests/unit/vault/nss.c)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -o $@ $^ -lcmocka -lcrypto
service-test: $(B)/tests/nss-token
