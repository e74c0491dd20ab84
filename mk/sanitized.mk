# SPDX-License-Identifier: Apache-2.0
# The sanitized lab host (tests/lab/hosts/sanitized.py): Debian's kernel source with the configuration
# of tests/lab/sanitized/config, built once for each version of the package, and the modules for it.

san_tar := $(wildcard /usr/src/linux-source-$(KERNEL_SERIES).tar.xz)
san_version := $(and $(san_tar),$(shell dpkg-query -W -f '$${Version}' linux-source-$(KERNEL_SERIES)))
san := $(B)/sanitized/$(san_version)
# What no x86 configuration reads; of the rest Kconfig wants to see its files.
san_without := $(addprefix --exclude=*/,Documentation/[!K]* drivers/gpu/drm/*.[ch] sound/*.[ch] \
	tools/testing tools/perf)
SANITIZED_JOBS ?= 2
san_make = nice -n 3 $(MAKE) -s -j$(SANITIZED_JOBS) -C $(san)/src O=$(CURDIR)/$(san)/obj KCONFIG_NOTIMESTAMP=1

.PHONY: sanitized-kernel need-sanitized lab-sanitized check-sanitized

need-sanitized:
	@$(if $(san_tar),:,echo 'no linux-source-$(KERNEL_SERIES) here; run "scripts/deps sanitized"' >&2; exit 1)
sanitized-kernel: need-sanitized $(B)/sanitized/ready ## build the kernel of the sanitized lab host

$(san)/src/Makefile: $(san_tar)
	$(call say,TAR,$(@D))
	$(Q)rm -rf $(B)/sanitized && mkdir -p $(@D)
	$(Q)LC_ALL=C tar -xf $< -C $(@D) --strip-components=1 $(san_without)
	@touch $@

# Each line of the configuration must have had its effect: a name that is gone, or what it depends
# on, would otherwise be found by nobody.
$(san)/obj/.config: tests/lab/sanitized/config $(san)/src/Makefile
	$(call say,CONFIG,$@)
	$(Q)$(san_make) allnoconfig KCONFIG_ALLCONFIG=$(CURDIR)/$< >/dev/null
	$(Q)for line in $$(grep '^CONFIG' $<); do grep -qxF "$$line" $@ || \
		{ echo "$<: $$line has no effect" >&2; rm -f $@; exit 1; }; done
	@touch $@

# vmlinuz, release and lib/modules are what the lab takes.
$(B)/sanitized/ready: $(san)/obj/.config
	$(call say,KERNEL,$(san)/obj)
	$(Q)+$(san_make) bzImage modules
	$(Q)rm -rf $(B)/sanitized/lib
	$(Q)+$(san_make) modules_install INSTALL_MOD_PATH=$(CURDIR)/$(B)/sanitized
	$(Q)ln -sfn $(san_version)/obj/arch/x86/boot/bzImage $(B)/sanitized/vmlinuz
	$(Q)cp $(san)/obj/include/config/kernel.release $(B)/sanitized/release
	@touch $@

# The modules' own code alone is instrumented for coverage: what fuzzing looks for is in it.
kdir_sanitized := $(CURDIR)/$(san)/obj
$(eval $(call module_flavour,sanitized))
$(eval $(call platform_flavour,sanitized))
san_modules := $(B)/kernel/sanitized/bawn.ko $(B)/platform/sanitized/bawn_platform.ko
$(san_modules): $(B)/sanitized/ready
$(san_modules): private export KCOV_INSTRUMENT := y

lab-sanitized: need-lab need-sanitized programs lab-programs $(san_modules)
check-sanitized: lab-sanitized ## run the lab's tests, or TEST="name...", on a sanitized kernel (hours)
	@BAWN_BUILD=$(B) tests/lab/lab --kernel $(KERNEL_cloud) --host sanitized $(if $(ACCEL),--accel $(ACCEL)) test $(TEST)
