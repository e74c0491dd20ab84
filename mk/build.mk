# SPDX-License-Identifier: Apache-2.0
# What is done with a finished build: inspected, and built a second time. After all other rooms.

.PHONY: build-test reproduce
build_tests := $(addprefix tests/build/,binaries.py commands.py reproduce.py units.py)
build-test: $(programs) $(attest_libs) $(policy_libs) $(modules) $(platform_modules) ## inspect every shipped binary
	@BAWN_BUILD=$(B) CC="$(CC)" tests/tap.py build $(build_tests)

# Byte for byte the same, in another folder, under another user, at another time?
.PHONY: reproduce-test
reproduced := programs $(if $(kdir_cloud),build/kernel/cloud/bawn.ko build/platform/cloud/bawn_platform.ko)
reproduce: ## build programs, libraries, shim and modules twice elsewhere, and compare every byte
	@scripts/reproduce $(reproduced)
reproduce-test: programs $(modules) $(platform_modules) ## build them once elsewhere, and compare every byte with this build's
	@TAP_TIMEOUT=900 BAWN_BUILD=$(B) BAWN_REPRODUCE="$(reproduced)" tests/tap.py reproduce tests/build/twice.sh

# What a host of machines needs beside the program: the unit and the rule for /dev/bawn, the shim.
.PHONY: install-host packages package-test
install: install-host
install-host: $(B)/guest/shim.bin
	install -d $(DESTDIR)$(prefix)/lib/systemd/system
	sed 's|/usr/local/bin/|$(prefix)/bin/|' vmm/bawn@.service >$(DESTDIR)$(prefix)/lib/systemd/system/bawn@.service
	chmod 644 $(DESTDIR)$(prefix)/lib/systemd/system/bawn@.service
	$(call install_to,$(prefix)/lib/udev/rules.d,644,vmm/60-bawn.rules)
	$(call install_to,$(prefix)/lib/bawn,644,$(B)/guest/shim.bin)
	$(call install_to,$(prefix)/share/man/man8,644,$(wildcard docs/man/*.8))

packages: programs ## build Debian packages in build/package, of what is built
	@scripts/packages $(B)
package-test: packages $(modules) ## test make dist; install, use, upgrade and purge the packages in a fresh Debian (as root)
	@TAP_TIMEOUT=1200 BAWN_BUILD=$(B) BAWN_KERNEL=$(KERNEL_cloud) tests/tap.py package \
		tests/package/lintian.sh tests/build/dist.py tests/package/package.sh

# Release: sources, programs, modules, packages, SBOM, provenance, checksums; signed by the releaser's SSH key.
DIST ?= $(B)/dist
KEY ?=
.PHONY: dist
dist: programs module packages ## make what is delivered in build/dist, signed with KEY= (an SSH key)
	@scripts/dist make $(B) $(DIST) $(if $(KEY),--key $(KEY))
