# SPDX-License-Identifier: Apache-2.0
# Fuzz targets: one libFuzzer entry function in each fuzz/<room>/*.c, and the same target in the
# variants that a campaign runs (docs/fuzzing.md). Everything of a variant is in its own folder.

flags_fuzz := $(common) $(clang_warn) -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
flags_bare = $(filter-out -fsanitize% -fno-sanitize%,$(flags_fuzz))
afl_clang := AFL_QUIET=1 afl-clang-fast
cmplog_clang := AFL_QUIET=1 AFL_LLVM_CMPLOG=1 afl-clang-fast
cov_flags := -fprofile-instr-generate -fcoverage-mapping

# Variant: folder of its programs, compiler, flags of the objects, flags of the link.
#   fuzz    libFuzzer, ASan and UBSan: smoke, triage, and the campaign where there is no AFL++
#   afl     AFL++, ASan and UBSan
#   plain   AFL++ alone, for speed
#   cmplog  AFL++ with what comparisons compared
#   cov     (objects: fuzzcov) libFuzzer's main, llvm-cov's counters
#   oss     as OSS-Fuzz's environment says: CC, CFLAGS, CXX, CXXFLAGS, LIB_FUZZING_ENGINE
cc_fuzz = $(CLANG)
cc_afl = $(afl_clang)
flags_afl = $(flags_bare) -fsanitize=address,undefined -fno-sanitize-recover=all
cc_plain = $(afl_clang)
flags_plain = $(filter-out -O1,$(flags_bare)) -O2
cc_cmplog = $(cmplog_clang)
flags_cmplog = $(flags_plain)
cc_fuzzcov = $(CLANG)
flags_fuzzcov = $(flags_bare) $(cov_flags)
cc_oss = $(CC)
flags_oss = $(filter-out -Werror -O1,$(flags_bare)) $(CFLAGS)
fuzz_variants := fuzz afl plain cmplog fuzzcov oss
$(foreach v,$(fuzz_variants),$(eval $(call variant,$(v))))

# A room that is fuzzed: fuzz/R/x.c is the target R-x, fuzz/R/common.c is what they share. Its sources
# and link flags are fuzz_lib_R and fuzz_ld_R, set here or in its own mk/ file, which comes before.
fuzz_rooms += attest platform vmm launch kernel
fuzz_lib_attest := $(attest_src)
# These targets see every signature as good, so that what lies behind one is reached. Signatures
# themselves are the mutation tests' business.
fuzz_ld_attest := -Wl,--wrap=sig_verify,--wrap=sig_verify_once,--wrap=sig_verify_raw,--wrap=sig_verify_raw_kept -lcrypto
fuzz_lib_platform := $(firmware_src)
fuzz_ld_platform := -lcrypto
fuzz_lib_launch := $(launch_src) $(attest_src)
fuzz_ld_launch := -ljansson -lcrypto
# The device models; where they ask the host for what is not the input's, the target answers.
fuzz_lib_vmm := $(addprefix vmm/,bufs.c bus.c dirty.c disk.c disk_io.c frame.c http.c image.c ioapic.c key_tpm.c link.c loop.c memory.c net.c pci.c qcow2.c qcow2_meta.c rate.c relay.c runtime.c serial.c slots.c snapshot.c stream.c tpm.c tpm_bridge.c uring.c vdev.c \
	virtio.c virtio_balloon.c virtio_blk.c virtio_console.c virtio_net.c virtio_rng.c virtio_vsock.c virtq.c vsock_conn.c \
	vsock_socket.c) $(addprefix launch/,config.c config_json.c json.c files.c)
fuzz_ld_vmm = -Wl,--wrap=bawn_mem_at $(fuzz_ld_$(@F))
fuzz_ld_vmm-config := -ljansson
fuzz_ld_vmm-image := -lcrypto
fuzz_ld_vmm-virtio_blk_ring := -Wl,--wrap=bawn_vdev_take,--wrap=bawn_uring_take
fuzz_ld_vmm-virtio_rng := -Wl,--wrap=getrandom
fuzz_ld_vmm-virtio_vsock := -Wl,--wrap=bawn_vsock_socket_accept,--wrap=bawn_vsock_socket_connect

# bawn.ko on a simulated kernel (mk/sim.mk).
fuzz_ld_kernel := -lcrypto
fuzz_sim_rooms := kernel

fuzz_names = $(patsubst fuzz/$(1)/%.c,$(1)-%,$(filter-out %/common.c,$(wildcard fuzz/$(1)/*.c)))
fuzz_targets := $(foreach r,$(fuzz_rooms),$(call fuzz_names,$(r)))
fuzz_programs := $(addprefix $(B)/fuzz/,$(fuzz_targets))

# Room, variant of objects, folder of programs, how it is linked, with which main, libraries behind all
define fuzz_room
$(B)/lib/lib$(1)-$(2).a: $(call objs,$(2),$(sort $(fuzz_lib_$(1)) $(wildcard fuzz/$(1)/common.c)))
$(addprefix $(3)/,$(call fuzz_names,$(1))): $(3)/$(1)-%: $(B)/obj/$(2)/fuzz/$(1)/%.o $(B)/lib/lib$(1)-$(2).a \
		$(if $(filter $(1),$(fuzz_sim_rooms)),$(B)/lib/libsim-$(2).a) $(5)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$(4) -o $$@ $$^ $$(fuzz_ld_$(1)) $(6)
endef
, := ,
fuzz_variant = $(foreach r,$(fuzz_rooms),$(eval $(call fuzz_room,$(r),$(1),$(2),$(3),$(4),$(5))))
sanitized := -fsanitize=address,undefined,fuzzer
$(call fuzz_variant,fuzz,$(B)/fuzz,$(CLANG) $(sanitized))
# Ours in place of AFL++'s main: half the task switches (fuzz/afl.c). It knows nothing of cmplog.
afl_main = $(B)/obj/$(1)/fuzz/afl.o
$(foreach v,afl plain,$(eval $(call afl_main,$(v)): private cc_$(v) = $(CLANG)))
afl_sanitized := -fsanitize=address,undefined
$(call fuzz_variant,afl,$(B)/fuzz/afl,$(afl_clang) $(afl_sanitized),$(call afl_main,afl))
$(call fuzz_variant,plain,$(B)/fuzz/plain,$(afl_clang),$(call afl_main,plain))
$(call fuzz_variant,cmplog,$(B)/fuzz/cmplog,$(cmplog_clang) -fsanitize=fuzzer)
$(call fuzz_variant,fuzzcov,$(B)/fuzz/cov,$(CLANG) $(cov_flags) -fsanitize=fuzzer)
$(call fuzz_variant,oss,$(B)/fuzz/oss,$(CXX) $(CXXFLAGS) -Wl$(,)-rpath$(,)'$$$$ORIGIN/lib',,$(LIB_FUZZING_ENGINE))

# What nothing costs: beside each figure of bench-fuzz, the fuzzer's own.
$(B)/fuzz/empty: $(B)/obj/fuzz/fuzz/empty.o
	$(call say,LD,$@)
	$(Q)$(CLANG) $(sanitized) -o $@ $^
$(B)/fuzz/afl/empty: $(B)/obj/afl/fuzz/empty.o $(call afl_main,afl)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(afl_clang) $(afl_sanitized) -o $@ $^
$(B)/fuzz/plain/empty: $(B)/obj/plain/fuzz/empty.o $(call afl_main,plain)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(afl_clang) -o $@ $^

have_afl := $(shell command -v afl-clang-fast >/dev/null 2>&1 && command -v afl-fuzz)
FUZZ_TIME ?= 60
FUZZ_JOBS ?= $(shell nproc)
FUZZ_SCORE_BUDGET ?= 10m
fuzz_in = $(addprefix $(B)/fuzz/$(1)/,$(fuzz_targets))
# What a campaign takes: with AFL++, the mix; and always libFuzzer's.
fuzz_mix := $(fuzz_programs) $(if $(have_afl),$(call fuzz_in,afl) $(call fuzz_in,plain) $(call fuzz_in,cmplog)) \
	$(foreach r,$(fuzz_sim_rooms),$(addprefix $(B)/fuzz/msan/,$(call fuzz_names,$(r))))
fuzz_empty := $(B)/fuzz/empty $(if $(have_afl),$(B)/fuzz/afl/empty $(B)/fuzz/plain/empty)
bawn_fuzz := fuzz/bawn-fuzz --build $(B)

.PHONY: fuzz-programs fuzz-mix fuzz-smoke fuzz-afl fuzz-list fuzz fuzz-coverage bench-fuzz fuzz-score fuzz-test
fuzz-programs: $(fuzz_programs)
fuzz-mix: $(fuzz_mix)
fuzz-list:
	@echo $(fuzz_targets)
fuzz-afl: $(call fuzz_in,afl) ## build the fuzz targets for AFL++
fuzz-smoke: $(fuzz_programs) ## run each fuzz target on its past finds, its seeds and a fixed number of mutations
	@fuzz/smoke $(B) $(fuzz_targets) $(msan_programs:$(B)/fuzz/%=%)
fuzz: $(fuzz_mix) ## fuzz every target for FUZZ_TIME seconds (60) of CPU each, then triage
	@$(bawn_fuzz) run --resume --jobs $(FUZZ_JOBS) --budget $(FUZZ_TIME)
	@$(bawn_fuzz) triage
fuzz-coverage: $(call fuzz_in,cov) ## what the campaign's corpus reaches: build/fuzz/campaign/coverage
	@$(bawn_fuzz) coverage
bench-fuzz: $(fuzz_mix) $(fuzz_empty) ## executions per second of each target, beside an empty one
	@fuzz/bench $(B) $(fuzz_targets)
fuzz-score: $(fuzz_mix) ## find the seeded bugs of fuzz/seeded, each within FUZZ_SCORE_BUDGET (10m)
	@fuzz/score --build $(B) --budget $(FUZZ_SCORE_BUDGET) --jobs $(FUZZ_JOBS)
fuzz-test: ## test bawn-fuzz, and what is written for other fuzzers
	@BAWN_BUILD=$(B) tests/tap.py campaign $(wildcard tests/fuzz/*.py)

# Static checks of targets and of their like in the lab; those of fuzz_sim_rooms are in mk/sim.mk.
fuzz_checked := $(wildcard fuzz/*.c fuzz/lab/*.c) fuzz/replay/main.c fuzz/replay/program.c \
	$(addprefix fuzz/sim/,firmware.c input.c vm.c) \
	$(foreach r,$(filter-out $(fuzz_sim_rooms),$(fuzz_rooms)),$(wildcard fuzz/$(r)/*.c))
fuzz_tidy := $(patsubst %.c,$(B)/lint/tidy/%,$(fuzz_checked))
$(fuzz_tidy): $(wildcard fuzz/*/*.h)
tidy: $(fuzz_tidy)
cppcheck: $(B)/lint/cppcheck-fuzz
$(B)/lint/cppcheck-fuzz: $(fuzz_checked) $(wildcard fuzz/*/*.h)
	@mkdir -p $(@D)
	$(call say,CPPCHK,fuzz)
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --error-exitcode=1 $(includes) $(fuzz_checked)
	@touch $@

install: install-fuzz
.PHONY: install-fuzz
install-fuzz: # the command, its parts, completion
	$(call install_to,$(prefix)/lib/bawn/campaign,644,$(wildcard fuzz/campaign/*.py))
	$(call install_to,$(prefix)/lib/bawn,755,fuzz/bawn-fuzz)
	install -d $(DESTDIR)$(prefix)/bin
	ln -sf ../lib/bawn/bawn-fuzz $(DESTDIR)$(prefix)/bin/bawn-fuzz
	install -d $(DESTDIR)$(prefix)/share/bash-completion/completions
	install -m 644 fuzz/completion/bawn-fuzz.bash \
		$(DESTDIR)$(prefix)/share/bash-completion/completions/bawn-fuzz
