# SPDX-License-Identifier: Apache-2.0
# The policy engine: libbawn-policy, the command bawn-policy, their tests. Included after
# mk/user.mk, before mk/lint.mk.

policy_src := $(wildcard policy/lib/*.c)
policy_cmd_src := $(wildcard policy/cmd/*.c)
# What it reads JSON with is libbawn-attest's own.
policy_shared := attest/lib/json.c attest/lib/codec.c
user_src += $(policy_src) $(policy_cmd_src)

policy_abi := 0
policy_so := $(B)/lib/libbawn-policy.so.$(policy_abi)
policy_map := policy/lib/libbawn-policy.map
policy_libs := $(B)/lib/libbawn-policy.so $(B)/lib/libbawn-policy.a

# The arena is in the file of bawn_attest_result_*, which are libbawn-attest's to give: here they
# are local, so that each program and each use of them has the one of that library.
$(B)/lib/policy-arena.o: $(call objs,pic,attest/lib/result.c)
	@mkdir -p $(@D)
	$(Q)objcopy --wildcard --localize-symbol='bawn_*' $< $@
$(B)/lib/libbawn-policy.o: $(call objs,pic,$(policy_src) $(policy_shared)) $(B)/lib/policy-arena.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -r -nostdlib -o $@ $^ && objcopy --localize-hidden $@
$(B)/lib/libbawn-policy.a: $(B)/lib/libbawn-policy.o
$(policy_so): $(B)/lib/libbawn-policy.o $(policy_map) $(B)/lib/libbawn-attest.so
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_so) -o $@ $< -Wl,-soname,$(@F) -Wl,--version-script=$(policy_map) \
		-L$(B)/lib -lbawn-attest -lcrypto
$(B)/lib/libbawn-policy.so: $(policy_so)
	$(Q)ln -sf $(<F) $@

ifneq ($(have_libs),)
programs += $(B)/bin/bawn-policy
programs: $(B)/bin/bawn-policy $(policy_libs)
endif
# Files and times are given as to bawn-verify, so they are read by the same code.
$(B)/bin/bawn-policy: $(call objs,release,$(policy_cmd_src) attest/verify/files.c \
	attest/verify/options.c $(base_src) $(confine_src)) $(B)/lib/libbawn-policy.a $(B)/lib/libbawn-attest.a
$(B)/bin/bawn-policy: libs := -ljansson -lcrypto -lseccomp

# tests/unit/policy/x_test.c
$(B)/lib/libpolicy-asan.a: $(call objs,asan,$(policy_src))
policy_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/policy/*_test.c))
$(policy_tests): $(B)/lib/libpolicy-asan.a $(B)/lib/libattest-asan.a

# bawn run --policy
policy_vmm_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/vmm/*_test.c))
$(policy_vmm_tests): $(B)/lib/libpolicy-asan.a
$(policy_vmm_tests): libs += $(B)/lib/libattest-asan.a -lssl -lcrypto

# Tests of the command and of what is shipped.
policy_cli_tests := $(wildcard tests/policy/*-cli.py)
.PHONY: policy-test bench-policy install-policy
policy-test: $(B)/bin/bawn-policy $(B)/bin/bawn $(policy_libs) ## test bawn-policy and the shipped policies
	@BAWN_BUILD=$(B) tests/tap.py policy $(policy_cli_tests)

$(B)/bench/policy: $(call objs,release,tests/bench/policy.c) $(B)/lib/libbawn-policy.a \
		$(B)/lib/libbawn-attest.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc -o $@ $^ -lcrypto
bench-policy: $(B)/bench/policy ## time the evaluation of a policy with 100 rules
	@$<

# Fuzz targets
fuzz_rooms += policy
fuzz_lib_policy := $(policy_src) $(attest_src)
fuzz_ld_policy := -lcrypto

install: install-policy
install-policy: $(policy_libs) $(policy_so) # the library, its header, the shipped policies
	$(call install_to,$(libdir),755,$(policy_so))
	$(call install_to,$(libdir),644,$(B)/lib/libbawn-policy.a)
	ln -sf $(notdir $(policy_so)) $(DESTDIR)$(libdir)/libbawn-policy.so
	$(call install_to,$(prefix)/include/bawn,644,include/bawn/policy.h)
	install -d $(DESTDIR)$(libdir)/pkgconfig
	sed 's|@prefix@|$(prefix)|; s|@libdir@|$(libdir)|; s|@version@|$(attest_version)|' \
		policy/lib/bawn-policy.pc.in >$(DESTDIR)$(libdir)/pkgconfig/bawn-policy.pc
	$(call install_to,$(prefix)/share/bawn/policy,644,$(wildcard policy/shipped/*.json) \
		policy/schema/policy.schema.json)
	install -d $(DESTDIR)$(prefix)/share/bash-completion/completions
	install -m 644 policy/completion/bawn-policy.bash \
		$(DESTDIR)$(prefix)/share/bash-completion/completions/bawn-policy
