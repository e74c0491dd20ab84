# SPDX-License-Identifier: Apache-2.0
# Benchmark and coverage of attest/.

bench_wrap := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=sig_verify,--wrap=sig_verify_once,--wrap=sig_verify_raw,--wrap=sig_verify_raw_kept
$(B)/bench/attest: $(call objs,release,tests/bench/attest.c) $(call objs,pic,$(attest_src))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) $(bench_wrap) -o $@ $^ -lcrypto

.PHONY: bench-attest coverage
bench-attest: $(B)/bench/attest ## time the verifier against OpenSSL's bare checks and a peer
	@tests/bench/attest-bench $< $(B)/peer

# Coverage: the unit tests and the tests of the commands, built with counters. The commands'
# sandbox would end a program that writes its counters, so there it is replaced at link time; it
# has tests of its own.
flags_cov := $(common) -O0 -g --coverage -fprofile-update=atomic -Wno-maybe-uninitialized
cc_cov = $(CC)
$(eval $(call variant,cov))
cov_tests := $(patsubst tests/unit/%.c,$(B)/cov/%,$(wildcard tests/unit/attest/*_test.c))
cov_programs := $(B)/cov/bawn-verify $(B)/cov/bawn-measure
cov_link = mkdir -p $(@D) && $(CC) --coverage -o $@ $^
$(B)/lib/libattest-cov.a: $(call objs,cov,$(attest_src) $(unit_attest_shared))
$(cov_tests): $(B)/cov/%: $(B)/obj/cov/tests/unit/%.o $(B)/lib/libattest-cov.a
	$(call say,LD,$@)
	$(Q)$(cov_link) $(call unit_libs,tests/unit/$*.c) -lcmocka $(libs)
$(B)/cov/bawn-verify: $(call objs,cov,$(verify_src) $(base_src) tests/attest/no_sandbox.c) $(B)/lib/libattest-cov.a
	$(call say,LD,$@)
	$(Q)$(cov_link) -lcrypto -lseccomp
$(B)/cov/bawn-measure: $(call objs,cov,$(measure_src) $(base_src) $(launch_src) tests/attest/no_sandbox.c) \
		$(B)/lib/libattest-cov.a
	$(call say,LD,$@)
	$(Q)$(cov_link) $(libs)
coverage: $(cov_tests) $(cov_programs) ## run attest/'s tests with counters; fails below 90 % of lines
	@find $(B)/obj/cov -name '*.gcda' -delete
	@tests/attest/coverage $(B) $(cov_tests)
