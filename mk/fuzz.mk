# SPDX-License-Identifier: Apache-2.0
# Fuzz targets: one libFuzzer entry function in each fuzz/<room>/*.c, built by clang with address
# and undefined-behaviour sanitizers. AFL++ takes the same entry (make fuzz-afl).

flags_fuzz := $(common) $(clang_warn) -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
cc_fuzz = $(CLANG)
flags_afl := $(filter-out -fsanitize%,$(flags_fuzz)) -fsanitize=address,undefined
cc_afl = AFL_QUIET=1 afl-clang-fast
$(foreach v,fuzz afl,$(eval $(call variant,$(v))))

fuzz_src := $(wildcard fuzz/attest/*.c)
fuzz_targets := $(filter-out common,$(patsubst fuzz/attest/%.c,%,$(fuzz_src)))
fuzz_programs := $(patsubst %,$(B)/fuzz/attest-%,$(fuzz_targets))
# A target named in this list sees every signature as good, so that what lies behind one is
# reached. Signatures themselves are other targets' and the mutation tests' business.
fuzz_wrap := -Wl,--wrap=sig_verify,--wrap=sig_verify_once,--wrap=sig_verify_raw,--wrap=sig_verify_raw_kept

$(foreach v,fuzz afl,$(eval $(B)/lib/libattest-$(v).a: $(call objs,$(v),$(attest_src))))
$(fuzz_programs): $(B)/fuzz/attest-%: $(B)/obj/fuzz/fuzz/attest/%.o \
		$(B)/obj/fuzz/fuzz/attest/common.o $(B)/lib/libattest-fuzz.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CLANG) -fsanitize=address,undefined,fuzzer -o $@ $^ $(fuzz_wrap) -lcrypto
$(B)/fuzz/afl/attest-%: $(B)/obj/afl/fuzz/attest/%.o \
		$(B)/obj/afl/fuzz/attest/common.o $(B)/lib/libattest-afl.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)AFL_QUIET=1 afl-clang-fast -fsanitize=address,undefined,fuzzer -o $@ $^ $(fuzz_wrap) -lcrypto

.PHONY: fuzz-programs fuzz-smoke fuzz-afl
fuzz-programs: $(fuzz_programs)
fuzz-afl: $(patsubst %,$(B)/fuzz/afl/attest-%,$(fuzz_targets)) ## build the fuzz targets for AFL++
fuzz-smoke: $(fuzz_programs) ## run each fuzz target on its seeds and a fixed number of mutations
	@fuzz/smoke $(B) $(fuzz_targets)
