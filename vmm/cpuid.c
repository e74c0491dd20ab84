// SPDX-License-Identifier: Apache-2.0
/*
 * CPUID of a vCPU: the module's supported set, with the leaves that say where this vCPU
 * stands. All vCPUs are cores of one package, one thread each; APIC id = vCPU id.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vm.h"

#define MAX_ENTRIES 256

struct place {
    unsigned id;
    unsigned count;
    unsigned shift; /* bits of the APIC id that number the cores */
    bool tsc_deadline;
};

/* APM vol. 3, appendix E.3; SDM vol. 2, CPUID */
static void leaf_1(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    e->ebx = (e->ebx & 0x0000ffff) | p->id << 24 | p->count << 16;
    e->ecx |= 1u << 31; /* hypervisor present */
    if (p->tsc_deadline)
        e->ecx |= 1u << 24;
    e->edx = (e->edx & ~(1u << 28)) | (p->count > 1) << 28; /* HTT: several ids */
}

static void leaf_cache(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    unsigned level = (e->eax >> 5) & 7;
    unsigned shared = level >= 3 ? p->count - 1 : 0; /* ids that share it, minus one */

    e->eax = (e->eax & (e->function == 4 ? 0x00003fff : 0xfc003fff)) | shared << 14;
    if (e->function == 4 && (e->eax & 0x1f))
        e->eax |= (p->count - 1) << 26;
}

static void leaf_topology(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    static const uint32_t type[] = { 1 << 8, 2 << 8 }; /* SMT, core */
    unsigned level = e->index;

    e->eax = level == 1 ? p->shift : 0;
    e->ebx = level == 0 ? 1 : level == 1 ? p->count : 0;
    e->ecx = level | (level < 2 ? type[level] : 0);
    e->edx = p->id;
}

static void leaf_80000008(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    e->ecx = (e->ecx & ~0xf0ffu) | p->shift << 12 | (p->count - 1);
}

static void leaf_8000001e(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    e->eax = p->id;
    e->ebx = p->id; /* core id, one thread */
    e->ecx = 0;     /* node 0 of 1 */
}

static void leaf_zero(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    (void)p;
    e->eax = e->ebx = e->ecx = e->edx = 0;
}

static const struct {
    uint32_t function;
    void (*fix)(struct kvm_cpuid_entry2 *e, const struct place *p);
} fixes[] = {
    { 0x00000001, leaf_1 },        { 0x00000004, leaf_cache },
    { 0x0000000b, leaf_topology }, { 0x0000001f, leaf_zero }, /* leaf 0xb says it all */
    { 0x80000008, leaf_80000008 }, { 0x8000001d, leaf_cache },
    { 0x8000001e, leaf_8000001e }, { 0x80000026, leaf_zero },
};

/* A module may list leaf 0xb with fewer than its two levels: give it both. */
static void complete_topology(struct kvm_cpuid2 *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->nent; i++) {
        if (c->entries[i].function != 0xb)
            c->entries[n++] = c->entries[i];
    }
    for (unsigned level = 0; level < 3 && n < MAX_ENTRIES; level++)
        c->entries[n++] = (struct kvm_cpuid_entry2){ .function = 0xb,
                                                     .index = level,
                                                     .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX };
    c->nent = n;
}

struct cpuid {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entry[MAX_ENTRIES];
};

static enum bawn_status make(const struct bawn_vcpu *vcpu, struct cpuid *buf,
                             struct bawn_error *err)
{
    const struct bawn_accel *accel = vcpu->vm->parts->accel;
    struct place p = { vcpu->id, vcpu->vm->parts->cfg->vcpus, 0, accel->tsc_deadline };
    struct kvm_cpuid2 *c = &buf->head;

    while (1u << p.shift < p.count)
        p.shift++;
    memset(buf, 0, sizeof(*buf));
    c->nent = MAX_ENTRIES;
    if (ioctl(accel->fd, KVM_GET_SUPPORTED_CPUID, c))
        return bawn_fail(err, BAWN_E_IO, "KVM_GET_SUPPORTED_CPUID: %m");
    complete_topology(c);
    for (unsigned i = 0; i < c->nent; i++) {
        for (unsigned j = 0; j < sizeof(fixes) / sizeof(fixes[0]); j++) {
            if (c->entries[i].function == fixes[j].function)
                fixes[j].fix(&c->entries[i], &p);
        }
    }
    return vcpu->vm->parts->snp ? bawn_snp_fix_cpuid(c, MAX_ENTRIES, err) : BAWN_OK;
}

enum bawn_status bawn_cpuid_set(const struct bawn_vcpu *vcpu, struct bawn_error *err)
{
    struct cpuid buf;
    enum bawn_status st = make(vcpu, &buf, err);

    if (!st && ioctl(vcpu->fd, KVM_SET_CPUID2, &buf))
        st = bawn_fail(err, BAWN_E_IO, "vCPU %u: KVM_SET_CPUID2 with %u entries: %m", vcpu->id,
                       buf.head.nent);
    return st;
}

enum bawn_status bawn_cpuid_page(const struct bawn_vcpu *vcpu, struct bawn_psp_cpuid_page *page,
                                 struct bawn_error *err)
{
    struct cpuid buf;
    enum bawn_status st = make(vcpu, &buf, err);

    return st ? st : bawn_snp_cpuid_page(page, &buf.head, err);
}
