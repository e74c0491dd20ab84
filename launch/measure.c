// SPDX-License-Identifier: Apache-2.0
/*
 * Predicts the event log and digest that bawn.ko computes at the seal of this launch
 * (docs/measured-launch.md). Mirrors kernel/measure/measure.c; the lab checks that they agree.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <endian.h>
#include <openssl/evp.h>

#include "launch/internal.h"

#define IRQCHIP_SPLIT 1
#define ZEROS 65536u

static const struct {
    uint32_t type;
    const char *name;
} type_names[] = {
    { BAWN_MEASURE_CONFIG, "config" },
    { BAWN_MEASURE_SLOT, "slot" },
    { BAWN_MEASURE_KERNEL, "kernel" },
    { BAWN_MEASURE_INITRD, "initrd" },
    { BAWN_MEASURE_CMDLINE, "cmdline" },
    { BAWN_MEASURE_BOOT_INFO, "boot-info" },
    { BAWN_MEASURE_ACPI, "acpi" },
    { BAWN_MEASURE_TABLES, "tables" },
    { BAWN_MEASURE_FIRMWARE, "firmware" },
    { BAWN_MEASURE_DATA, "data" },
    { BAWN_MEASURE_UNDECLARED, "undeclared" },
    { BAWN_MEASURE_VCPU, "vcpu" },
};

const char *bawn_measure_type_name(uint32_t type)
{
    for (unsigned i = 0; i < ARRAY_SIZE(type_names); i++)
        if (type_names[i].type == type)
            return type_names[i].name;
    return "unknown";
}

void bawn_measure_log_print(FILE *out, const struct bawn_measure_log *log)
{
    fprintf(out, "%-10s %5s %18s %18s %s\n", "type", "index", "gpa", "size", "sha384");
    for (unsigned i = 0; i < log->nr_events; i++) {
        const struct bawn_measure_event *e = &log->events[i];

        fprintf(out, "%-10s %5" PRIu32 " 0x%016" PRIx64 " 0x%016" PRIx64 " %s\n",
                bawn_measure_type_name(le32toh(e->type)), le32toh(e->index),
                (uint64_t)le64toh(e->gpa), (uint64_t)le64toh(e->size),
                bawn_digest_hex(e->digest).text);
    }
}

struct bawn_hex bawn_digest_hex(const uint8_t digest[BAWN_MEASURE_DIGEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    struct bawn_hex h = { { 0 } };

    for (unsigned i = 0; i < BAWN_MEASURE_DIGEST_SIZE; i++) {
        h.text[2 * i] = digits[digest[i] >> 4];
        h.text[2 * i + 1] = digits[digest[i] & 15];
    }
    return h;
}

struct hash {
    EVP_MD_CTX *ctx;
    bool ok;
};

static void hash_begin(struct hash *h)
{
    h->ok = h->ok && EVP_DigestInit_ex(h->ctx, EVP_sha384(), NULL) == 1;
}

static void hash_add(struct hash *h, const void *data, size_t n)
{
    h->ok = h->ok && (!n || EVP_DigestUpdate(h->ctx, data, n) == 1);
}

static void hash_end(struct hash *h, uint8_t out[BAWN_MEASURE_DIGEST_SIZE])
{
    h->ok = h->ok && EVP_DigestFinal_ex(h->ctx, out, NULL) == 1;
}

static void hash_all(struct hash *h, const void *data, size_t n,
                     uint8_t out[BAWN_MEASURE_DIGEST_SIZE])
{
    hash_begin(h);
    hash_add(h, data, n);
    hash_end(h, out);
}

static struct bawn_measure_event *next_event(struct bawn_measure_log *log, uint32_t type,
                                             uint32_t index, uint64_t gpa, uint64_t size)
{
    struct bawn_measure_event *e = &log->events[log->nr_events++];

    e->type = htole32(type);
    e->index = htole32(index);
    e->gpa = htole64(gpa);
    e->size = htole64(size);
    return e;
}

static void log_config(struct hash *h, struct bawn_measure_log *log,
                       const struct bawn_vm_config *cfg)
{
    struct bawn_measure_config c = {
        .version = htole32(BAWN_MEASURE_VERSION),
        .vm_type = htole32(KVM_X86_DEFAULT_VM),
        .vcpus = htole32(bawn_vm_config_max_vcpus(cfg)),
        .irqchip = htole32(IRQCHIP_SPLIT),
    };

    hash_all(h, &c, sizeof(c), next_event(log, BAWN_MEASURE_CONFIG, 0, 0, 0)->digest);
}

static void log_slots(struct hash *h, struct bawn_measure_log *log,
                      const struct bawn_launch_plan *plan)
{
    for (unsigned i = 0; i < plan->nr_ram; i++) {
        uint32_t flags = htole32(0);

        hash_all(
            h, &flags, sizeof(flags),
            next_event(log, BAWN_MEASURE_SLOT, 0, plan->ram[i].gpa, plan->ram[i].size)->digest);
    }
}

static void log_regions(struct hash *h, struct bawn_measure_log *log,
                        const struct bawn_launch_plan *plan)
{
    static const uint8_t zeros[ZEROS];

    for (unsigned i = 0; i < plan->nr_regions; i++) {
        const struct bawn_region *r = &plan->region[i];
        struct bawn_measure_event *e = next_event(log, r->type, 0, r->gpa, r->size);
        uint64_t rest = r->size - r->data_len;

        hash_begin(h);
        hash_add(h, r->data, r->data_len);
        while (rest) {
            size_t n = rest < ZEROS ? rest : ZEROS;

            hash_add(h, zeros, n);
            rest -= n;
        }
        hash_end(h, e->digest);
    }
}

static struct bawn_measure_segment encode_segment(const struct kvm_segment *s)
{
    struct bawn_measure_segment out = { .attributes = htole16(1 << 12) };

    if (s->unusable)
        return out;
    out.base = htole64(s->base);
    out.limit = htole32(s->limit);
    out.selector = htole16(s->selector);
    out.attributes = htole16((uint16_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7 |
                                        s->avl << 8 | s->l << 9 | s->db << 10 | s->g << 11));
    return out;
}

static void encode_bsp(struct bawn_measure_vcpu *v, const struct bawn_launch_plan *plan)
{
    const struct kvm_regs *r = &plan->regs;
    const struct kvm_sregs *s = &plan->sregs;
    const uint64_t gpr[16] = { r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rsp, r->rbp,
                               r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };
    const struct kvm_segment *seg[8] = { &s->cs, &s->ds, &s->es, &s->fs,
                                         &s->gs, &s->ss, &s->tr, &s->ldt };

    for (unsigned i = 0; i < ARRAY_SIZE(gpr); i++)
        v->gpr[i] = htole64(gpr[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(seg); i++)
        v->seg[i] = encode_segment(seg[i]);
    v->rip = htole64(r->rip);
    v->rflags = htole64(r->rflags);
    v->cr0 = htole64(s->cr0);
    v->cr3 = htole64(s->cr3);
    v->cr4 = htole64(s->cr4);
    v->efer = htole64(s->efer);
    v->apic_base = htole64(s->apic_base);
    v->gdt_base = htole64(s->gdt.base);
    v->idt_base = htole64(s->idt.base);
    v->gdt_limit = htole32(s->gdt.limit);
    v->idt_limit = htole32(s->idt.limit);
}

static void log_vcpus(struct hash *h, struct bawn_measure_log *log,
                      const struct bawn_vm_config *cfg, const struct bawn_launch_plan *plan)
{
    for (unsigned i = 0; i < bawn_vm_config_max_vcpus(cfg); i++) {
        struct bawn_measure_vcpu v = { .id = htole32(i) };

        v.mp_state = htole32(i ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE);
        if (!i)
            encode_bsp(&v, plan);
        hash_all(h, &v, sizeof(v), next_event(log, BAWN_MEASURE_VCPU, i, 0, 0)->digest);
    }
}

static void chain(struct hash *h, struct bawn_measure_log *log)
{
    hash_all(h, BAWN_MEASURE_MAGIC, sizeof(BAWN_MEASURE_MAGIC), log->digest);
    for (unsigned i = 0; i < log->nr_events; i++) {
        hash_begin(h);
        hash_add(h, log->digest, sizeof(log->digest));
        hash_add(h, &log->events[i], sizeof(log->events[i]));
        hash_end(h, log->digest);
    }
}

enum bawn_status bawn_launch_measure(const struct bawn_vm_config *cfg,
                                     const struct bawn_launch_plan *plan,
                                     struct bawn_measure_log *log, struct bawn_error *err)
{
    struct hash h = { .ok = true };

    memset(log, 0, sizeof(*log));
    log->events = calloc(1u + plan->nr_ram + plan->nr_regions + bawn_vm_config_max_vcpus(cfg),
                         sizeof(*log->events));
    h.ctx = EVP_MD_CTX_new();
    if (!log->events || !h.ctx) {
        EVP_MD_CTX_free(h.ctx);
        bawn_measure_log_free(log);
        return bawn_fail(err, BAWN_E_NOMEM, "out of memory");
    }
    log_config(&h, log, cfg);
    log_slots(&h, log, plan);
    log_regions(&h, log, plan);
    log_vcpus(&h, log, cfg, plan);
    chain(&h, log);
    EVP_MD_CTX_free(h.ctx);
    if (!h.ok) {
        bawn_measure_log_free(log);
        return bawn_fail(err, BAWN_E_INTERNAL, "libcrypto does not compute SHA-384");
    }
    return BAWN_OK;
}

void bawn_measure_log_free(struct bawn_measure_log *log)
{
    free(log->events);
    memset(log, 0, sizeof(*log));
}
