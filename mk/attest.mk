# SPDX-License-Identifier: Apache-2.0
# Benchmark and coverage of attest/.

bench_wrap := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=sig_verify,--wrap=sig_verify_raw
$(B)/bench/attest: $(call objs,release,tests/bench/attest.c) $(call objs,pic,$(attest_src))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) $(bench_wrap) -o $@ $^ -lcrypto

.PHONY: bench-attest
bench-attest: $(B)/bench/attest ## time the verifier against OpenSSL's bare checks and a peer
	@tests/bench/attest-bench $< $(B)/peer
