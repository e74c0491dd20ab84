# SPDX-License-Identifier: Apache-2.0
# Builds, checks and shows Bawn. Everything it makes goes under build/; `make help` lists targets.

.DEFAULT_GOAL := all
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

B := build
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
prefix ?= /usr/local
DESTDIR ?=
V ?= 0
Q := $(if $(filter 0,$(V)),@,)
say = $(if $(filter 0,$(V)),@printf '  %-7s %s\n' '$(1)' '$(2)',@:)

include mk/harden.mk
include mk/user.mk
include mk/seccomp.mk
include mk/platform.mk
# Rooms of the attestation service and its agent.
-include mk/policy.mk mk/jose.mk mk/store.mk mk/service.mk mk/vault.mk mk/agent.mk
include mk/shim.mk
include mk/module.mk
include mk/platform-kmod.mk
include mk/lab.mk
include mk/sanitized.mk
include mk/libvirt.mk
include mk/lint.mk
include mk/fuzz.mk
include mk/sim.mk
include mk/attest.mk
include mk/build.mk

.PHONY: all help deps demo check skipped clean install

all: programs module lab-programs skipped ## build everything that the present tools allow

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile mk/*.mk | expand -t 18
	@echo
	@echo 'Variables: V=1 shows commands; CC=, CLANG=, prefix=, DESTDIR= as usual;'
	@echo '  KERNEL_cloud= and KERNEL_standard= choose the kernel headers (now: $(or $(KERNEL_cloud),none), $(or $(KERNEL_standard),none));'
	@echo '  TEST=name, ACCEL=kvm and HOST=svm are for lab-test.'

deps: ## install what a build and the lab need (Debian 12, as root)
	@scripts/deps

# deps may bring the compiler and the kernel headers, so a fresh make does the rest.
demo: ## install, build, run a confidential Debian guest in the lab host and judge its report
	@scripts/deps
	@+$(MAKE) --no-print-directory demo-run

check: ## install, build, and run every test; ends with "N passed, N failed"
	@scripts/deps tests
	@scripts/check

skipped:
	@:$(foreach s,$(skip_programs) $(skip_module_cloud) $(skip_module_standard) $(skip_lab), \
	  ; echo '  skipped $(subst ~, ,$(s)); `make deps` installs it')

clean: ## remove build/
	rm -rf $(B)

install: programs ## install commands, library, headers and manuals below DESTDIR and prefix
	install -d $(DESTDIR)$(prefix)/bin
	install $(programs) $(DESTDIR)$(prefix)/bin

# What each object was built from.
-include $(shell find $(B)/obj -name "*.d" 2>/dev/null)
