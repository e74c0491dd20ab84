# SPDX-License-Identifier: Apache-2.0
# The seccomp filters of bawn run's processes, made of policy/seccomp/*.policy when Bawn is built.

user_src += policy/seccomp/compile.c
seccomp_filters := $(patsubst policy/seccomp/%.policy,$(B)/seccomp/%.bpf,$(wildcard policy/seccomp/*.policy))

$(B)/seccomp/compile: policy/seccomp/compile.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(common) -O1 -g -o $@ $< -lseccomp
$(B)/seccomp/%.bpf: policy/seccomp/%.policy $(B)/seccomp/compile
	$(call say,SECCOMP,$@)
	$(Q)$(B)/seccomp/compile $< $@

# The assembler takes them in.
define seccomp_variant
$(B)/obj/$(1)/vmm/sandbox.o: $(seccomp_filters)
$(B)/obj/$(1)/vmm/sandbox.o: flags_$(1) += -Wa,-I$(B)/seccomp
endef
$(foreach v,release asan clang,$(eval $(call seccomp_variant,$(v))))

install: install-vmm
.PHONY: install-vmm
install-vmm: # completion, the schema of configurations, the name that libvirt and Kata know
	$(call install_to,$(prefix)/share/bawn,644,vmm/vmconfig.schema.json)
	install -d $(DESTDIR)$(prefix)/lib/bawn
	ln -sf ../../bin/bawn $(DESTDIR)$(prefix)/lib/bawn/cloud-hypervisor
	install -d $(DESTDIR)$(prefix)/share/bash-completion/completions
	install -m 644 vmm/completion/bawn.bash \
		$(DESTDIR)$(prefix)/share/bash-completion/completions/bawn

# Tests of the processes, on what is shipped.
vmm_programs := $(patsubst tests/vmm/%.c,$(B)/vmm/%,$(wildcard tests/vmm/*_test.c))
vmm_tests := $(wildcard tests/vmm/*.sh tests/vmm/*-cli.py) $(vmm_programs)
$(B)/vmm/supervise_test: vmm_ld := -Wl,--wrap=bawn_machine_run,--wrap=bawn_link_receive
$(B)/vmm/pager_test: vmm_ld := -Wl,--wrap=ioctl
$(B)/vmm/%: $(B)/obj/release/tests/vmm/%.o $(bawn_objs) $(late_objs)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(harden_ld) -o $@ $^ $(vmm_ld) -lcmocka $(libs)

.PHONY: vmm-test
vmm-test: $(B)/bin/bawn $(vmm_programs) $(B)/seccomp/compile ## test the processes of bawn run and their sandboxes
	@BAWN_BUILD=$(B) tests/tap.py vmm $(vmm_tests)
