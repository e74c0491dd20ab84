// SPDX-License-Identifier: Apache-2.0
/*
 * The host kernel's and the firmware's side of an SNP machine, for kernel/snp/hw.c: the functions
 * that it looks up, over platform/kmod's command.c (which pages a command takes, what it does to
 * the RMP) and the model of the secure processor. A target may change what firmware answers.
 * Findings are what the module must never ask: pages of another guest, pages that userspace has.
 */
#include "internal.h"

#include <linux/psp-sev.h>
#include <asm/sev.h>

#include "platform/kmod/platform.h"

#include "hw.h"
#include "sanitizer.h"
#include "snp.h"

struct platform_stats platform_stats;
unsigned int platform_cbit = SIM_SNP_CBIT; /* in HELLO alone */

static sim_firmware_fn answer_fn;
static void *answer_context;
static bool lied; /* since the last reset */

void sim_set_firmware(sim_firmware_fn fn, void *context)
{
    answer_fn = fn;
    answer_context = context;
    lied |= fn != NULL;
}

/* ---- Below command.c: the message to the daemon is a call here ---- */

static unsigned int written_pages(const struct sim_firmware_page *pages, unsigned int nr,
                                  struct sim_firmware_answer *answer)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < nr && n < ARRAY_SIZE(answer->pages); i++)
        if (pages[i].flags & BAWN_PLATFORM_PAGE_OUT)
            answer->pages[n++] = pages[i].bytes;
    return n;
}

/* The target changes copies: the pages are poisoned. */
static void ask_target(struct sim_firmware_answer *answer, unsigned int n)
{
    static u8 copies[ARRAY_SIZE(answer->pages)][PAGE_SIZE];
    u8 *at[ARRAY_SIZE(answer->pages)];

    for (unsigned int i = 0; i < n; i++) {
        at[i] = answer->pages[i];
        sim_copy_unseen(copies[i], at[i], PAGE_SIZE);
        answer->pages[i] = copies[i];
    }
    answer_fn(answer_context, answer);
    for (unsigned int i = 0; i < n; i++)
        sim_copy_unseen(at[i], copies[i], PAGE_SIZE);
}

int platform_call(struct platform_request *req)
{
    struct sim_firmware_page pages[BAWN_PLATFORM_FIELDS_MAX];
    struct sim_firmware_answer answer = { .command = req->command,
                                          .buffer = req->buf,
                                          .len = req->len };
    unsigned int n;

    might_sleep();
    if (req->nr_pages > ARRAY_SIZE(pages))
        sim_fault(SIM_HARDWARE, "a firmware command with %u pages", req->nr_pages);
    for (u32 i = 0; i < req->nr_pages; i++)
        pages[i] = (struct sim_firmware_page){
            .paddr = req->pages[i].pfn << PAGE_SHIFT,
            .gpa = req->pages[i].gpa,
            .flags = req->pages[i].flags,
            .bytes = pfn_to_kaddr(req->pages[i].pfn),
        };
    answer.status = sim_firmware_command(req->command, req->buf, req->len, pages, req->nr_pages);
    n = written_pages(pages, req->nr_pages, &answer);
    if (answer_fn)
        ask_target(&answer, n);
    req->status = answer.status;
    return answer.lost ? -ENODEV : 0;
}

/* ---- The host kernel's functions ---- */

static u32 buffer_len(int cmd)
{
    for (unsigned int i = 0; i < BAWN_PLATFORM_COMMANDS; i++)
        if (bawn_platform_commands[i].command == (u32)cmd)
            return bawn_platform_commands[i].buffer_len;
    return 0;
}

int sev_platform_init(struct sev_platform_init_args *args)
{
    might_sleep();
    return 0;
}

int sev_do_cmd(int cmd, void *data, int *psp_ret)
{
    u32 fw_error = 0;
    int r = platform_command(cmd, data, buffer_len(cmd), &fw_error);

    if (psp_ret)
        *psp_ret = (int)fw_error;
    return r;
}

void *snp_alloc_firmware_page(gfp_t gfp)
{
    struct page *page = platform_alloc_firmware_page();

    return page ? page_address(page) : NULL;
}

void snp_free_firmware_page(void *address)
{
    platform_free_firmware_page(virt_to_page(address));
}

static int code_errno(enum rmp_code code)
{
    switch (code) {
    case RMP_OK:
        return 0;
    case RMP_FAIL_INUSE:
        return -EBUSY;
    case RMP_FAIL_PERMISSION:
        return -EPERM;
    default:
        return -EINVAL;
    }
}

/* A page is given away by whoever has it, and once. */
static void check_giver(u64 pfn, u32 asid)
{
    struct page *page = pfn_to_page(pfn);
    struct rmp_entry e;

    rmp_get(pfn, &e);
    if (e.flags & RMP_ASSIGNED && e.asid != asid)
        sim_fault(SIM_OWNERSHIP, "page frame 0x%llx of ASID %u is given to ASID %u",
                  (unsigned long long)pfn, e.asid, asid);
    if (!page->refs)
        sim_fault(SIM_OWNERSHIP, "page frame 0x%llx is free and given to ASID %u",
                  (unsigned long long)pfn, asid);
    if (page->user)
        sim_fault(SIM_OWNERSHIP, "page frame 0x%llx is userspace's and given to ASID %u",
                  (unsigned long long)pfn, asid);
}

int rmp_make_private(u64 pfn, u64 gpa, enum pg_level level, u32 asid, bool immutable)
{
    const struct rmp_update new = {
        .gpa = gpa,
        .asid = asid,
        .assigned = true,
        .immutable = immutable,
        .large = level == PG_LEVEL_2M,
    };

    if (!asid || asid > SIM_SNP_ASIDS)
        sim_fault(SIM_HARDWARE, "RMPUPDATE for ASID %u", asid);
    check_giver(pfn, asid);
    return code_errno(rmp_update(pfn, &new));
}

int rmp_make_shared(u64 pfn, enum pg_level level)
{
    const struct rmp_update new = { .large = level == PG_LEVEL_2M };

    return code_errno(rmp_update(pfn, &new));
}

int snp_lookup_rmpentry(u64 pfn, bool *assigned, int *level)
{
    struct rmp_entry e;

    rmp_get(pfn, &e);
    *assigned = e.flags & RMP_ASSIGNED;
    *level = e.flags & RMP_LARGE ? PG_LEVEL_2M : PG_LEVEL_4K;
    return 0;
}

int psmash(u64 pfn)
{
    return (int)rmp_psmash(pfn);
}

/* ---- From start to reset ---- */

void sim_snp_start(void)
{
    if (!sim_options.snp)
        return;
    sim_firmware_start();
    sim_rmp_start(sim_nr_pages);
    sim_firmware_reset(SIM_SNP_ASIDS, SIM_SNP_CBIT);
}

/* What firmware that lied has kept, the module must leak: nobody else may have it. */
static void take_back(u64 pfn)
{
    struct page *page = pfn_to_page(pfn);
    struct rmp_entry e;

    rmp_get(pfn, &e);
    page->refs = 1;
    if (!e.asid) {
        platform_free_firmware_page(page);
        return;
    }
    sim_rmp_force(pfn);
    __free_page(page);
}

void sim_snp_reset(void)
{
    u64 pfn = SIM_PHYS_BASE >> PAGE_SHIFT;

    if (!sim_options.snp)
        return;
    while ((pfn = sim_rmp_next(pfn)) != UINT64_MAX) {
        if (!lied)
            sim_fault(SIM_OWNERSHIP, "page frame 0x%llx is still assigned after all has gone",
                      (unsigned long long)pfn);
        take_back(pfn);
    }
    sim_set_firmware(NULL, NULL);
    lied = false;
    platform_greeted();
    sim_snp_hw_reset();
    sim_firmware_reset(SIM_SNP_ASIDS, SIM_SNP_CBIT);
}

void sim_snp_stop(void)
{
    sim_snp_reset();
}

/* ---- Oracles ---- */

void sim_snp_page_use(struct page *page, bool by_user)
{
    sim_rmp_host_owns(page_to_pfn(page), by_user ? "userspace maps" : "the host frees");
}

/* Every page of the guest's is memory in use, and the process sees none of them. */
void sim_snp_check(struct bawn_vm *vm)
{
    u64 pfn = SIM_PHYS_BASE >> PAGE_SHIFT;
    struct rmp_entry e;

    if (!sim_options.snp || !vm->snp || !vm->snp->asid)
        return;
    while ((pfn = sim_rmp_next(pfn)) != UINT64_MAX) {
        rmp_get(pfn, &e);
        if (e.asid == vm->snp->asid)
            check_giver(pfn, e.asid);
        pfn++;
    }
}
