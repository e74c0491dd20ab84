// SPDX-License-Identifier: Apache-2.0
/*
 * CPUID of a vCPU: the module's supported set, with the leaves that say where this vCPU
 * stands. All vCPUs are cores of one package, one thread each; APIC id = vCPU id.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vm.h"

#define MAX_ENTRIES BAWN_STATE_CPUID

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

/* ---- snapshots ---- */

/* What programs look up before they use a feature (APM vol. 3, appendix E; SDM vol. 2, CPUID;
 * Linux, Documentation/virt/kvm/x86/cpuid.rst), but for bits that follow a vCPU's state. */
static const struct {
    uint32_t function, index;
    uint32_t mask[4]; /* EAX to EDX */
} features[] = {
    { 0x00000001, 0, { 0, 0, ~(1u << 27), ~(1u << 28) } }, /* OSXSAVE; HTT is the topology's */
    { 0x00000007, 0, { 0, ~0u, ~(1u << 4), ~0u } },        /* OSPKE */
    { 0x00000007, 1, { ~0u, ~0u, ~0u, ~0u } },
    { 0x00000007, 2, { 0, 0, 0, ~0u } },
    { 0x0000000d, 0, { ~0u, 0, 0, ~0u } },
    { 0x0000000d, 1, { ~0u, 0, ~0u, ~0u } },
    { 0x40000001, 0, { ~0u, 0, 0, ~0u } },
    { 0x80000001, 0, { 0, 0, ~0u, ~0u } },
    { 0x80000007, 0, { 0, 0, 0, ~0u } },
    { 0x80000008, 0, { 0, ~0u, 0, 0 } },
    { 0x8000000a, 0, { 0, 0, 0, ~0u } },
    { 0x80000021, 0, { ~0u, 0, 0, 0 } },
};

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid_entry2 *entry, unsigned nr,
                                           uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < nr; i++) {
        if (entry[i].function == function && entry[i].index == index)
            return &entry[i];
    }
    return NULL;
}

static uint32_t reg(const struct kvm_cpuid_entry2 *e, unsigned n)
{
    const uint32_t regs[4] = { e->eax, e->ebx, e->ecx, e->edx };

    return regs[n];
}

static enum bawn_status lacks(uint32_t function, uint32_t index, const char *reg, uint32_t bits,
                              struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_UNSUPPORTED,
                     "the guest uses CPU features that this host lacks: CPUID %#x.%u %s, bits %#x",
                     function, index, reg, bits);
}

enum bawn_status bawn_cpuid_check(const struct bawn_state_cpuid *guest,
                                  const struct kvm_cpuid2 *host, struct bawn_error *err)
{
    static const struct kvm_cpuid_entry2 none;
    static const char *const names[] = { "EAX", "EBX", "ECX", "EDX" };
    const struct kvm_cpuid_entry2 *g, *h;

    if (guest->nr > BAWN_STATE_CPUID)
        return bawn_fail(err, BAWN_E_FORMAT, "the snapshot has %u CPUID entries", guest->nr);
    g = find(guest->entry, guest->nr, 0, 0);
    h = find(host->entries, host->nent, 0, 0);
    if (!g || !h || g->ebx != h->ebx || g->ecx != h->ecx || g->edx != h->edx)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "the guest ran on a processor of another vendor");
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        uint32_t function = features[i].function, index = features[i].index;

        g = find(guest->entry, guest->nr, function, index);
        h = find(host->entries, host->nent, function, index);
        for (unsigned r = 0; g && r < 4; r++) {
            uint32_t more = reg(g, r) & ~reg(h ? h : &none, r) & features[i].mask[r];

            if (more)
                return lacks(function, index, names[r], more, err);
        }
    }
    return BAWN_OK;
}

struct cpuid {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entry[MAX_ENTRIES];
};

static void fix(struct kvm_cpuid2 *c, const struct place *p)
{
    for (unsigned i = 0; i < c->nent; i++) {
        for (unsigned j = 0; j < sizeof(fixes) / sizeof(fixes[0]); j++) {
            if (c->entries[i].function == fixes[j].function)
                fixes[j].fix(&c->entries[i], p);
        }
    }
}

/* What a guest of this many vCPUs is told here, if it asks the one with this number. */
static enum bawn_status host(struct cpuid *buf, const struct bawn_accel *accel, struct place *p,
                             struct bawn_error *err)
{
    struct kvm_cpuid2 *c = &buf->head;

    while (1u << p->shift < p->count)
        p->shift++;
    memset(buf, 0, sizeof(*buf));
    c->nent = MAX_ENTRIES;
    if (ioctl(accel->fd, KVM_GET_SUPPORTED_CPUID, c))
        return bawn_fail(err, BAWN_E_IO, "KVM_GET_SUPPORTED_CPUID: %m");
    complete_topology(c);
    fix(c, p);
    return BAWN_OK;
}

static enum bawn_status make(const struct bawn_vcpu *vcpu, struct cpuid *buf,
                             struct bawn_error *err)
{
    const struct bawn_accel *accel = vcpu->vm->parts->accel;
    struct place p = { vcpu->id, bawn_vm_config_max_vcpus(vcpu->vm->parts->cfg), 0,
                       accel->tsc_deadline };
    const struct bawn_state *from = vcpu->vm->parts->from;
    struct kvm_cpuid2 *c = &buf->head;
    enum bawn_status st = host(buf, accel, &p, err);

    if (st)
        return st;
    if (vcpu->vm->parts->snp)
        return bawn_snp_fix_cpuid(c, MAX_ENTRIES, err);
    if (!from)
        return BAWN_OK;
    st = bawn_cpuid_check(&from->cpuid, c, err);
    if (st)
        return st;
    c->nent = from->cpuid.nr;
    memcpy(c->entries, from->cpuid.entry, c->nent * sizeof(c->entries[0]));
    fix(c, &p);
    return BAWN_OK;
}

enum bawn_status bawn_cpuid_fits(const struct bawn_accel *accel, unsigned vcpus,
                                 const struct bawn_state_cpuid *guest, struct bawn_error *err)
{
    struct place p = { 0, vcpus, 0, accel->tsc_deadline };
    struct cpuid buf;
    enum bawn_status st = host(&buf, accel, &p, err);

    return st ? st : bawn_cpuid_check(guest, &buf.head, err);
}

/* For a snapshot: all vCPUs have it but for their places. */
static void keep(struct bawn_vcpu *vcpu, const struct kvm_cpuid2 *c)
{
    struct bawn_state_cpuid *to = &vcpu->vm->cpuid;
    int khz = ioctl(vcpu->fd, KVM_GET_TSC_KHZ, NULL);

    if (vcpu->id)
        return;
    to->nr = c->nent;
    to->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
    memcpy(to->entry, c->entries, c->nent * sizeof(to->entry[0]));
}

enum bawn_status bawn_cpuid_set(struct bawn_vcpu *vcpu, struct bawn_error *err)
{
    struct cpuid buf;
    enum bawn_status st = make(vcpu, &buf, err);

    if (!st && ioctl(vcpu->fd, KVM_SET_CPUID2, &buf))
        st = bawn_fail(err, BAWN_E_IO, "vCPU %u: KVM_SET_CPUID2 with %u entries: %m", vcpu->id,
                       buf.head.nent);
    if (!st)
        keep(vcpu, &buf.head);
    return st;
}

enum bawn_status bawn_cpuid_page(const struct bawn_vcpu *vcpu, struct bawn_psp_cpuid_page *page,
                                 struct bawn_error *err)
{
    struct cpuid buf;
    enum bawn_status st = make(vcpu, &buf, err);

    return st ? st : bawn_snp_cpuid_page(page, &buf.head, err);
}
