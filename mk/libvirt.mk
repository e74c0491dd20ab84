# SPDX-License-Identifier: Apache-2.0
# libvirt itself as a client: its source as Debian has it, with the ch driver that Debian does not build,
# in a lab host where Bawn is its cloud-hypervisor. No part of make check; kept in build/libvirt.

libvirt_version := 11.3.0
libvirt_debian := 2~bpo12+1
libvirt_tar = libvirt_$(libvirt_version).orig.tar.xz
libvirt_off := -Dauto_features=disabled -Dno_git=true -Dinit_script=none
libvirt_on := -Ddriver_ch=enabled -Ddriver_remote=enabled -Ddriver_libvirtd=enabled -Djson_c=enabled \
	-Dcurl=enabled -Dlibnl=enabled
libvirt_needs := meson ninja-build libglib2.0-dev libxml2-dev libgnutls28-dev libcurl4-openssl-dev libjson-c-dev \
	libnl-3-dev libnl-route-3-dev libtirpc-dev xsltproc libxml2-utils python3-docutils
# Its restore reads a file of a process's number of which it never made the name, and so always fails: what
# names it when a machine starts is called there too. All else is as it comes.
libvirt_mended := if (virCHProcessPrepareHost(driver, vm) < 0) return -1;
libvirt_mend := /^virCHProcessStartRestore(/,/^}/ s/^    if (!priv->monitor) {/    $(libvirt_mended)\n&/
LIBVIRT_JOBS ?= 2

.PHONY: libvirt libvirt-test need-libvirt
need-libvirt:
	@for tool in meson ninja xsltproc; do command -v $$tool >/dev/null || \
		{ echo "libvirt: no $$tool; apt-get install $(libvirt_needs)" >&2; exit 1; }; done
# The source alone: apt checks it against the archive's signature.
$(B)/libvirt/$(libvirt_tar):
	@mkdir -p $(@D)
	$(call say,APT,$@)
	$(Q)cd $(@D) && apt-get -qq source --download-only --tar-only libvirt=$(libvirt_version)-$(libvirt_debian) || \
		{ echo "libvirt: there is no source $(libvirt_version)-$(libvirt_debian): apt needs a line of type deb-src" \
		"for bookworm-backports; or put $(libvirt_tar) into $(@D)" >&2; exit 1; }
$(B)/libvirt/ready: $(B)/libvirt/$(libvirt_tar) mk/libvirt.mk
	$(call say,LIBVIRT,$(@D))
	$(Q)rm -rf $(@D)/src $(@D)/obj $(@D)/root && mkdir -p $(@D)/src
	$(Q)tar -xf $< -C $(@D)/src --strip-components=1
	$(Q)sed -i '$(libvirt_mend)' $(@D)/src/src/ch/ch_process.c && grep -q '$(libvirt_mended)' $(@D)/src/src/ch/ch_process.c
	$(Q)cd $(@D) && CFLAGS=-O1 meson setup --wrap-mode=nodownload --buildtype=plain --prefix=/usr/local \
		--libdir=lib --sysconfdir=/etc --localstatedir=/var -Drunstatedir=/run $(libvirt_off) $(libvirt_on) \
		obj src >configure.log
	$(Q)nice -n 10 ninja -C $(@D)/obj -j$(LIBVIRT_JOBS) >$(@D)/build.log
	$(Q)DESTDIR=$(abspath $(@D)/root) meson install -C $(@D)/obj --no-rebuild --quiet
	$(Q)cd $(@D)/root/usr/local && rm -rf include lib/pkgconfig share/locale
	@touch $@
libvirt: need-libvirt $(B)/libvirt/ready
libvirt-test: libvirt $(lab_built) ## have libvirt's virsh drive Bawn in the lab (builds libvirt, once)
	@$(LAB) --list libvirt.list $(if $(ACCEL),--accel $(ACCEL)) test $(TEST)
