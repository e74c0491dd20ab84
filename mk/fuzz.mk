# SPDX-License-Identifier: Apache-2.0
# Fuzz targets: one libFuzzer entry function in each fuzz/<room>/*.c, built by clang with address
# and undefined-behaviour sanitizers. AFL++ takes the same entry (make fuzz-afl).

flags_fuzz := $(common) $(clang_warn) -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
cc_fuzz = $(CLANG)
flags_afl := $(filter-out -fsanitize%,$(flags_fuzz)) -fsanitize=address,undefined
cc_afl = AFL_QUIET=1 afl-clang-fast
$(foreach v,fuzz afl,$(eval $(call variant,$(v))))

# A room that is fuzzed: fuzz/R/x.c is the target R-x, fuzz/R/common.c is what they share. Its sources
# and link flags are fuzz_lib_R and fuzz_ld_R, set here or in its own mk/ file, which comes before.
fuzz_rooms += attest platform vmm launch
fuzz_lib_attest := $(attest_src)
# These targets see every signature as good, so that what lies behind one is reached. Signatures
# themselves are the mutation tests' business.
fuzz_ld_attest := -Wl,--wrap=sig_verify,--wrap=sig_verify_once,--wrap=sig_verify_raw,--wrap=sig_verify_raw_kept -lcrypto
fuzz_lib_platform := $(firmware_src)
fuzz_ld_platform := -lcrypto
fuzz_lib_launch := $(launch_src) $(attest_src)
fuzz_ld_launch := -ljansson -lcrypto
# The device models; where they ask the host for what is not the input's, the target answers.
fuzz_lib_vmm := $(addprefix vmm/,bufs.c bus.c disk.c ioapic.c loop.c memory.c pci.c serial.c stream.c \
	virtio.c virtio_blk.c virtio_console.c virtio_rng.c virtio_vsock.c virtq.c vsock_conn.c \
	vsock_socket.c)
fuzz_ld_vmm = -Wl,--wrap=bawn_mem_at $(fuzz_ld_$(@F))
fuzz_ld_vmm-virtio_rng := -Wl,--wrap=getrandom
fuzz_ld_vmm-virtio_vsock := -Wl,--wrap=bawn_vsock_socket_accept,--wrap=bawn_vsock_socket_connect

fuzz_names = $(patsubst fuzz/$(1)/%.c,$(1)-%,$(filter-out %/common.c,$(wildcard fuzz/$(1)/*.c)))
fuzz_targets := $(foreach r,$(fuzz_rooms),$(call fuzz_names,$(r)))
fuzz_programs := $(addprefix $(B)/fuzz/,$(fuzz_targets))

# Room, variant of objects, folder of programs, compiler
define fuzz_room
$(B)/lib/lib$(1)-$(2).a: $(call objs,$(2),$(sort $(fuzz_lib_$(1)) $(wildcard fuzz/$(1)/common.c)))
$(addprefix $(3)/,$(call fuzz_names,$(1))): $(3)/$(1)-%: $(B)/obj/$(2)/fuzz/$(1)/%.o $(B)/lib/lib$(1)-$(2).a
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$(4) -fsanitize=address,undefined,fuzzer -o $$@ $$^ $$(fuzz_ld_$(1))
endef
$(foreach r,$(fuzz_rooms),$(eval $(call fuzz_room,$(r),fuzz,$(B)/fuzz,$(CLANG))))
$(foreach r,$(fuzz_rooms),$(eval $(call fuzz_room,$(r),afl,$(B)/fuzz/afl,AFL_QUIET=1 afl-clang-fast)))

.PHONY: fuzz-programs fuzz-smoke fuzz-afl
fuzz-programs: $(fuzz_programs)
fuzz-afl: $(addprefix $(B)/fuzz/afl/,$(fuzz_targets)) ## build the fuzz targets for AFL++
fuzz-smoke: $(fuzz_programs) ## run each fuzz target on its seeds and a fixed number of mutations
	@fuzz/smoke $(B) $(fuzz_targets)
