# SPDX-License-Identifier: Apache-2.0
# bawn-attestd, the attestation service. Included after mk/user.mk, mk/policy.mk, mk/jose.mk and
# mk/store.mk, before mk/lint.mk and mk/fuzz.mk.

service_src := $(wildcard attest/service/*.c attest/service/*/*.c)
service_own := $(wildcard attest/service/*.c attest/service/front/*.c attest/service/fetch/*.c) \
	attest/jose/canonical.c attest/jose/read.c # what messages are read and written by
user_src += $(service_src)
service_libs := -levent -levent_openssl -ljansson -lssl -lcrypto -lsqlite3 -lpq -lseccomp -lm
$(B)/obj/%/attest/service/dev.o: policy/shipped/development.json

ifneq ($(and $(have_libs),$(wildcard attest/service/vault/main.c)),)
programs += $(B)/bin/bawn-attestd
programs: $(B)/bin/bawn-attestd
endif
service_parts := attest/jose/*.c attest/store/*.c attest/log/*.c
$(B)/bin/bawn-attestd: $(call objs,release,$(service_src) $(common_src) \
	$(wildcard $(service_parts))) \
	$(B)/lib/libbawn-policy.a $(B)/lib/libbawn-attest.a
$(B)/bin/bawn-attestd: libs := $(service_libs)

# tests/unit/service/x_test.c: all but main.c and what needs vault and judge, and no process is
# started.
$(B)/lib/libservice-asan.a: $(call objs,asan,$(filter-out %/main.c %/supervisor.c,$(service_own)) \
	$(common_src))
service_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/service/*_test.c))
$(service_tests): $(B)/lib/libservice-asan.a $(B)/lib/libattest-asan.a
$(service_tests): libs += -levent -levent_openssl -lssl -lseccomp -ljansson -lcrypto

# The fronts with a stand-in for vault and judges, so that their own tests need neither.
$(B)/tests/attestd-front: $(call objs,release,$(service_own) $(common_src) tests/service/stand_in.c) \
		$(B)/lib/libbawn-attest.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -o $@ $^ -levent -levent_openssl -ljansson -lssl -lcrypto -lseccomp
$(B)/tests/attestd-front-asan: $(call objs,asan,$(filter-out %/confine.c,$(service_own)) \
		$(common_src) tests/service/stand_in.c tests/service/no_confine.c) $(B)/lib/libattest-asan.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $^ -levent -levent_openssl -ljansson -lssl \
		-lcrypto -lseccomp

.PHONY: service-test
service-test: $(B)/bin/bawn-attestd $(B)/tests/attestd-front ## test bawn-attestd over the network
	@BAWN_BUILD=$(B) tests/tap.py service $(wildcard tests/service/*-*.py)

fuzz_rooms += service
fuzz_lib_service := $(filter-out %/main.c %/supervisor.c %/dev.c,$(service_own)) $(common_src) \
	$(attest_src)
fuzz_ld_service := -levent -levent_openssl -ljansson -lssl -lcrypto -lseccomp

# Load: guests and clients for benchmarks and fault tests; the machine's limits beside them.
load_src := tests/bench/attestd_load.c tests/bench/attestd_client.c tests/bench/attestd_guest.c
$(B)/bench/attestd-load: $(call objs,release,$(load_src) tests/unit/firmware/rig.c \
		$(wildcard platform/firmware/*.c)) $(B)/lib/libbawn-attest.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -o $@ $^ -lcmocka -lssl -lcrypto -lpthread
$(B)/bench/attestd-limits: $(call objs,release,tests/bench/attestd_limits.c \
		tests/bench/attestd_client.c)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -o $@ $^ -lssl -lcrypto

# tests/service/fault-*.py; all kills: FAULT_ROUNDS=100 tests/service/fault-kill.py
service-test: $(B)/bench/attestd-load $(B)/bin/bawn-audit $(B)/tests/clock.so
$(B)/tests/clock.so: $(call objs,pic,tests/service/clock.c)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -o $@ $^

SESSIONS ?= 100000
.PHONY: bench-attestd soak-attestd
bench_attestd := $(B)/bin/bawn-attestd $(B)/bench/attestd-load $(B)/bench/attestd-limits
bench-attestd: $(bench_attestd) ## time bawn-attestd beside bare handshakes and signature checks
	@BAWN_BUILD=$(B) tests/bench/attestd-bench
soak-attestd: $(bench_attestd) ## SESSIONS=100000 sessions, and the memory of each process meanwhile
	@BAWN_BUILD=$(B) tests/bench/attestd-bench --soak $(SESSIONS)

.PHONY: install-service
install: install-service
install-service: # the unit, the manual of section 8, the configuration's schema
	install -d $(DESTDIR)$(prefix)/lib/systemd/system
	sed 's|/usr/local/bin/|$(prefix)/bin/|' attest/service/bawn-attestd.service \
		>$(DESTDIR)$(prefix)/lib/systemd/system/bawn-attestd.service
	chmod 644 $(DESTDIR)$(prefix)/lib/systemd/system/bawn-attestd.service
	$(call install_to,$(prefix)/share/man/man8,644,docs/man/bawn-attestd.8)
	$(call install_to,$(prefix)/share/bawn/schema,644,attest/service/schema/config.schema.json)
