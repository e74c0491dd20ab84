# SPDX-License-Identifier: Apache-2.0
# bawn.ko. Kbuild before 6.13 builds only beside the sources, so each flavour gets a tree of
# links to them under build/kernel/<flavour>/ and is built there.

KERNEL_SERIES ?= 6.12
newest = $(shell ls -d /usr/src/linux-headers-$(1) 2>/dev/null | \
	sed -n 's,^/usr/src/linux-headers-\(.*[0-9][^-]*$(2)\)$$,\1,p' | sort -V | tail -n 1)
KERNEL_cloud ?= $(call newest,$(KERNEL_SERIES)*-cloud-amd64,-cloud-amd64)
KERNEL_standard ?= $(call newest,$(KERNEL_SERIES)*-amd64,-amd64)
KERNEL_host ?= $(shell uname -r)

kdir_cloud := $(and $(KERNEL_cloud),/usr/src/linux-headers-$(KERNEL_cloud))
kdir_standard := $(and $(KERNEL_standard),/usr/src/linux-headers-$(KERNEL_standard))
kdir_host := /lib/modules/$(KERNEL_host)/build

module_src := $(wildcard kernel/*/*.c)
module_deps := $(module_src) $(wildcard kernel/*/*.[hS]) $(wildcard include/bawn/*.h) kernel/Kbuild

ifneq ($(module_src),)
modules := $(foreach f,cloud standard,$(if $(kdir_$(f)),$(B)/kernel/$(f)/bawn.ko))
$(foreach f,cloud standard,$(if $(kdir_$(f)),, \
	$(eval skip_module_$(f) := bawn.ko~($(f)):~no~Linux~$(KERNEL_SERIES)~headers~of~this~flavour)))
endif

.PHONY: module module-host module-newest
module: $(modules) ## build bawn.ko for Debian's 6.12 kernels (cloud and standard flavours)
module-host: $(B)/kernel/host/bawn.ko ## build bawn.ko for the running kernel (or KERNEL_host=)

# $(1): flavour. Links every source, forgets the links whose file has gone.
link_tree = mkdir -p $(B)/kernel/$(1) && cp -rsf $(CURDIR)/kernel/. $(B)/kernel/$(1)/ && \
	ln -sfn $(CURDIR)/include $(B)/kernel/$(1)/include && \
	find $(B)/kernel/$(1) -xtype l -delete

# The bytes depend on sources, headers and compiler, not on the folder (make reproduce); $(1) as above,
# $(2): kernel or platform.
kbuild_paths = KCFLAGS='$(KCFLAGS) -ffile-prefix-map=$(CURDIR)/$(B)/$(2)/$(1)/=' \
	KAFLAGS='$(KAFLAGS) -ffile-prefix-map=$(CURDIR)/$(B)/$(2)/$(1)/='

define module_flavour
$(B)/kernel/$(1)/bawn.ko: $(module_deps)
	$$(call say,KBUILD,$$@)
	$$(Q)$$(call link_tree,$(1))
	$$(Q)+$$(MAKE) $$(if $$(filter 0,$$(V)),-s) -C $$(kdir_$(1)) M=$$(CURDIR)/$(B)/kernel/$(1) \
		$$(call kbuild_paths,$(1),kernel) CONFIG_DEBUG_INFO_BTF_MODULES= modules
	@touch $$@
endef
$(foreach f,cloud standard host,$(eval $(call module_flavour,$(f))))

module-newest: ## compile bawn.ko against the newest kernel headers that Debian offers
	$(call say,NEWEST,$(B)/kernel/newest)
	$(Q)$(call link_tree,newest)
	$(Q)+CC="$(CC)" scripts/module-newest $(B)/newest $(B)/kernel/newest
