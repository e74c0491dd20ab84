# SPDX-License-Identifier: Apache-2.0
# The service's database, its log of decisions, and bawn-audit. Included after mk/user.mk, before
# mk/lint.mk and mk/fuzz.mk.

store_src := $(wildcard attest/store/*.c)
log_src := $(wildcard attest/log/*.c)
audit_src := $(wildcard attest/audit/*.c)
user_src += $(store_src) $(log_src) $(audit_src)
store_libs := -lsqlite3 -lpq

# The log writes canonical JSON.
log_needs := $(wildcard attest/jose/*.c)
$(B)/lib/libstore-asan.a: $(call objs,asan,$(store_src))
$(B)/lib/liblog-asan.a: $(call objs,asan,$(log_src) $(log_needs))

# tests/unit/store/x_test.c and tests/unit/log/x_test.c; what they share, a PostgreSQL server among
# it, are the files of tests/unit/store that are not tests.
store_support := $(filter-out %_test.c,$(wildcard tests/unit/store/*.c))
store_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/store/*_test.c))
log_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/log/*_test.c))
$(store_tests): $(call objs,asan,$(store_support)) $(B)/lib/libstore-asan.a
$(log_tests): $(call objs,asan,$(store_support)) $(B)/lib/liblog-asan.a $(B)/lib/libstore-asan.a
$(store_tests) $(log_tests): libs += $(store_libs)

# bawn-audit. What it is tested with: a writer of logs.
ifneq ($(have_libs),)
programs += $(B)/bin/bawn-audit
programs: $(B)/bin/bawn-audit
endif
$(B)/bin/bawn-audit: $(call objs,release,$(audit_src) $(log_src) $(log_needs) $(store_src) \
	$(confine_src) $(base_src)) $(B)/lib/libbawn-attest.a
$(B)/bin/bawn-audit: libs += -lseccomp $(store_libs)

# tests/unit/audit/x_test.c
$(B)/lib/libaudit-asan.a: $(call objs,asan,$(filter-out attest/audit/main.c,$(audit_src)) attest/common/sandbox.c \
	$(common_src))
audit_unit_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/audit/*_test.c))
$(audit_unit_tests): $(B)/lib/libaudit-asan.a $(B)/lib/liblog-asan.a $(B)/lib/libstore-asan.a $(B)/lib/libattest-asan.a
$(audit_unit_tests): libs += $(store_libs) -lseccomp

$(B)/audit/log-writer: $(call objs,release,tests/audit/log-writer.c $(log_src) $(log_needs) \
	$(store_src))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -o $@ $^ $(libs) $(store_libs)

.PHONY: report
report: $(B)/bin/bawn-audit ## evidence for auditors of what make check left: build/report (SIGN=key.pem signs it)
	$(Q)$< report $(B)/report --build $(B) $(if $(SIGN),--sign $(SIGN)) \
		--revision "$$(git describe --always --dirty 2>/dev/null || echo unknown)"

.PHONY: audit-test
audit-test: $(B)/bin/bawn-audit $(B)/audit/log-writer ## test bawn-audit
	@BAWN_BUILD=$(B) tests/tap.py audit $(wildcard tests/audit/*-cli.py)

# Fuzz targets log-entry and log-note; their seeds are in fuzz/seeds. audit-host, audit-proof and
# audit-report: what bawn-audit reads of hosts, of provers and of what a build left.
fuzz_rooms += log audit
fuzz_lib_log := $(log_src) $(log_needs) $(store_src)
fuzz_ld_log := -ljansson -lcrypto $(store_libs)
fuzz_lib_audit := $(filter-out attest/audit/main.c,$(audit_src)) $(fuzz_lib_log) $(attest_src) $(confine_src) $(base_src)
fuzz_ld_audit := $(fuzz_ld_log) -lseccomp
