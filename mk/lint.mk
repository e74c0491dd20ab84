# SPDX-License-Identifier: Apache-2.0
# Static checks. Each leaves a stamp under build/lint/, so that only what changed is looked at.

.PHONY: lint sparse tidy cppcheck clang-build format-check
lint: sparse clang-build tidy cppcheck ## sparse on the module; clang, clang-tidy and cppcheck on userspace

tidy_stamps := $(patsubst %.c,$(B)/lint/tidy/%,$(user_src))
$(B)/lint/tidy/%: %.c .clang-tidy $(wildcard include/bawn/*.h common/*.h launch/*.h vmm/*.h attest/*.h)
	@mkdir -p $(@D)
	$(call say,TIDY,$<)
	$(Q)clang-tidy --quiet $< -- $(common) $(clang_warn) >$@.log 2>&1 || { cat $@.log; exit 1; }
	@touch $@
tidy: $(tidy_stamps)

cppcheck: $(B)/lint/cppcheck
$(B)/lint/cppcheck: $(user_src) $(wildcard include/bawn/*.h common/*.h launch/*.h vmm/*.h attest/*.h)
	@mkdir -p $(@D)
	$(call say,CPPCHK,userspace)
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --error-exitcode=1 $(includes) $(user_src)
	@touch $@

clang-build: $(call objs,clang,$(user_src))

# Kbuild ignores sparse's exit status, and the kernel's headers have findings of their own.
sparse: $(if $(kdir_cloud),$(if $(module_src),$(B)/lint/sparse))
$(B)/lint/sparse: $(module_deps)
	@mkdir -p $(@D)
	$(call say,SPARSE,kernel)
	$(Q)rm -rf $(B)/kernel/sparse && $(call link_tree,sparse)
	$(Q)+$(MAKE) -s -C $(kdir_cloud) M=$(CURDIR)/$(B)/kernel/sparse C=2 modules >$@.log 2>&1 || \
		{ cat $@.log; exit 1; }
	$(Q)! grep -E '(core|svm|snp|measure)/[a-z_]+\.[ch]:[0-9]+:[0-9]+: (warning|error)' $@.log
	@touch $@

format-check: ## show where clang-format would lay out the code in another way
	@for f in $(user_src) $(wildcard common/*.h launch/*.h vmm/*.h kernel/*/*.[ch]); do \
		clang-format $$f | diff -u --label $$f --label formatted $$f - ; done

.PHONY: kernel-style
kernel-style: ## the kernel's own checkers (checkpatch, coccinelle) over the modules
	@BAWN_BUILD=$(B) scripts/kernel-style

.PHONY: docs-test
docs-test: ## docs/threat-model: valid, its pages as it says, its tests there
	@tests/tap.py docs $(wildcard tests/docs/*.py)

.PHONY: check-docs
check-docs: ## do what README and the guides say, word for word, in a fresh clone (GUIDES=lab: the lab's part too)
	@$(if $(filter lab,$(GUIDES)),scripts/check-docs --lab,TAP_TIMEOUT=1200 tests/tap.py guides scripts/check-docs)
