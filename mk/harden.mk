# SPDX-License-Identifier: Apache-2.0
# How every shipped program and library is compiled and linked: the OpenSSF's Compiler Options Hardening
# Guide for C and C++, by probes where compilers differ. tests/build/binaries.py holds what is built
# against it. The modules are built by the kernel's own rules, the shim by mk/shim.mk's.

# $(1): compiler. $(2): flags. They are given back if the compiler knows them.
accepts = $(shell $(1) -Werror $(2) -c -x c -o /dev/null /dev/null >/dev/null 2>&1 && echo '$(2)')
# What not every compiler that we build with has: gcc 12 and clang 14 lack the latter two, and
# clang 14 the first.
harden_new := -ftrivial-auto-var-init=zero -fzero-init-padding-bits=all -fstrict-flex-arrays=3
probed = $(foreach f,$(harden_new),$(call accepts,$(1),$(f)))

# Objects depend on it, so that one more flag reaches all of them.
harden_file := $(lastword $(MAKEFILE_LIST))
# FORTIFY is not in the debug information; common/hardened.h leaves it in each object.
harden_any := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -include common/hardened.h \
	-fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
	-fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing
# Where it was built is nobody's business (make reproduce).
harden_any += -ffile-prefix-map=$(CURDIR)=.
harden = $(harden_any) $(harden_probed) -fPIE
harden_probed := $(call probed,$(CC))
harden_clang = $(harden_any) $(harden_clang_probed) -fPIE
harden_clang_probed := $(call probed,$(CLANG))

# Links. The guide's -z nodlopen is not for us: ld ignores it for programs, which dlopen refuses anyway, and
# bindings of other languages open libraries so.
harden_any_ld := -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed,--no-copy-dt-needed-entries
harden_ld := -pie $(harden_any_ld)
harden_so := -shared $(harden_any_ld),--no-undefined

# For the tests: what tests/build/binaries.py makes its specimens with.
.PHONY: harden-flags
harden-flags:
	@echo '$(subst -fPIE,,$(harden))'
	@echo '$(harden_ld)'
	@echo '$(harden_so)'
