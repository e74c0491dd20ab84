# SPDX-License-Identifier: Apache-2.0
# bawn_platform.ko, for the flavours of kernel that bawn.ko is built for. Each gets a tree of links
# under build/platform/<flavour>/, with bawn.ko's rooms in it for their headers, and is built
# against that flavour's bawn.ko.

platform_src := $(wildcard platform/kmod/*.c)
platform_deps := $(platform_src) $(wildcard platform/kmod/*.h) platform/kmod/Kbuild

ifneq ($(platform_src),)
platform_modules := $(foreach f,cloud standard,$(if $(kdir_$(f)),$(B)/platform/$(f)/bawn_platform.ko))
endif

.PHONY: platform-module platform-module-host platform-sparse
platform-module: $(platform_modules) ## build bawn_platform.ko, the software platform's kernel part
platform-module-host: $(B)/platform/host/bawn_platform.ko

# $(1): flavour.
platform_tree = mkdir -p $(B)/platform/$(1) && cp -rsf $(CURDIR)/platform/kmod/. $(B)/platform/$(1)/ && \
	ln -sfn $(CURDIR)/kernel $(B)/platform/$(1)/bawn && \
	ln -sfn $(CURDIR)/include $(B)/platform/$(1)/include && \
	find $(B)/platform/$(1) -maxdepth 1 -xtype l -delete
platform_kbuild = $(MAKE) $(if $(filter 0,$(V)),-s) -C $(kdir_$(1)) M=$(CURDIR)/$(B)/platform/$(1) \
	KBUILD_EXTRA_SYMBOLS=$(CURDIR)/$(B)/kernel/$(1)/Module.symvers CONFIG_DEBUG_INFO_BTF_MODULES= \
	$(call kbuild_paths,$(1),platform)

define platform_flavour
$(B)/platform/$(1)/bawn_platform.ko: $(platform_deps) $(B)/kernel/$(1)/bawn.ko
	$$(call say,KBUILD,$$@)
	$$(Q)$$(call platform_tree,$(1))
	$$(Q)+$$(call platform_kbuild,$(1)) modules
	@touch $$@
endef
$(foreach f,cloud standard host,$(eval $(call platform_flavour,$(f))))

# As for bawn.ko (mk/lint.mk): sparse's findings in our own files, in a tree of its own.
platform-sparse: $(if $(kdir_cloud),$(if $(platform_src),$(B)/lint/platform-sparse))
$(B)/lint/platform-sparse: $(platform_deps) $(B)/platform/cloud/bawn_platform.ko
	@mkdir -p $(@D)
	$(call say,SPARSE,platform/kmod)
	$(Q)rm -rf $(B)/platform/sparse && $(call platform_tree,sparse)
	$(Q)+$(MAKE) -s -C $(kdir_cloud) M=$(CURDIR)/$(B)/platform/sparse C=2 \
		KBUILD_EXTRA_SYMBOLS=$(CURDIR)/$(B)/kernel/cloud/Module.symvers \
		CONFIG_DEBUG_INFO_BTF_MODULES= modules >$@.log 2>&1 || { cat $@.log; exit 1; }
	$(Q)! grep -E 'platform/sparse/[a-z_]+\.[ch]:[0-9]+:[0-9]+: (warning|error)' $@.log
	@touch $@

# The lab's: keys take long to make on an emulated processor, so they come from here.
$(B)/lab/platform-state: $(B)/bin/bawn-platformd
	$(call say,KEYS,$@)
	$(Q)rm -rf $@ && mkdir -p $(@D) && $< --state $@ --setup
lab-programs: $(if $(and $(platform_src),$(kdir_cloud),$(have_libs)),$(B)/lab/platform-state $(B)/platform/cloud/bawn_platform.ko)
