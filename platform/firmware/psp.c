// SPDX-License-Identifier: Apache-2.0
/*
 * The secure processor's model: which command there is, what state it needs, and the commands
 * that concern the platform as a whole. Command buffers are hostile. AMD 56860 rev 1.55 to 1.58,
 * chapter 8.
 */
#include "platform/firmware/parts.h"

#include <stdlib.h>

/* ---- Life ---- */

static enum bawn_status take_config(struct psp *psp, const struct psp_config *config,
                                    struct bawn_error *err)
{
    uint32_t version = config->report_version ? config->report_version : BAWN_SNP_REPORT_V5;

    if (version != BAWN_SNP_REPORT_V2 && version != BAWN_SNP_REPORT_V3 &&
        version != BAWN_SNP_REPORT_V5)
        return bawn_fail(err, BAWN_E_USAGE, "report version %u, must be 2, 3 or 5", version);
    if (config->nr_asids > PSP_ASIDS_MAX)
        return bawn_fail(err, BAWN_E_USAGE, "%u ASIDs, must be at most %u", config->nr_asids,
                         PSP_ASIDS_MAX);
    psp->report_version = version;
    psp->faults = config->faults;
    psp->smt = !config->smt_disabled;
    psp->nr_asids = config->nr_asids ? config->nr_asids : PSP_ASIDS_MAX;
    if (!config->nr_offer)
        return BAWN_OK;
    psp->offer = calloc(config->nr_offer, sizeof(*psp->offer));
    if (!psp->offer)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the processor's CPUID");
    memcpy(psp->offer, config->offer, config->nr_offer * sizeof(*psp->offer));
    psp->nr_offer = config->nr_offer;
    return BAWN_OK;
}

enum bawn_status psp_create(struct psp **out, struct psp_identity *identity,
                            const struct psp_config *config, struct bawn_error *err)
{
    struct psp *psp = calloc(1, sizeof(*psp));
    enum bawn_status st;

    *out = NULL;
    if (!psp) {
        psp_identity_destroy(identity);
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the secure processor");
    }
    psp->identity = identity;
    psp->model = psp_model(identity->product);
    memcpy(psp->current_tcb, psp->model->tcb, sizeof(psp->current_tcb));
    memcpy(psp->committed_tcb, psp->current_tcb, sizeof(psp->committed_tcb));
    memcpy(psp->reported_tcb, psp->current_tcb, sizeof(psp->reported_tcb));
    psp->save = PSP_SAVE;
    st = take_config(psp, config, err);
    if (st == BAWN_OK) {
        psp->sha384 = EVP_MD_fetch(NULL, "SHA384", NULL);
        psp->md = EVP_MD_CTX_new();
        if (!psp->sha384 || !psp->md)
            st = bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL has no SHA-384");
    }
    if (st != BAWN_OK) {
        psp_destroy(psp);
        return st;
    }
    *out = psp;
    return BAWN_OK;
}

void psp_destroy(struct psp *psp)
{
    if (!psp)
        return;
    for (size_t i = 0; i < psp->nr_guests; i++)
        psp_guest_free(psp->guests[i]);
    EVP_MD_CTX_free(psp->md);
    EVP_MD_free(psp->sha384);
    psp_identity_destroy(psp->identity);
    free(psp->offer);
    free(psp);
}

/* ---- Pages of a call ---- */

struct psp_page *psp_page_at(const struct psp_call *call, uint64_t address, uint32_t flags)
{
    for (size_t i = 0; i < call->nr_pages; i++) {
        struct psp_page *page = &call->pages[i];

        if (page->paddr == (address & ~PSP_PAGE_MASK) && (page->flags & flags) == flags)
            return page;
    }
    return NULL;
}

const uint8_t *psp_page_in(const struct psp_call *call, uint64_t address, size_t len)
{
    const struct psp_page *page = psp_page_at(call, address, BAWN_PLATFORM_PAGE_IN);
    struct bawn_cursor c;

    if (!page)
        return NULL;
    c = bawn_cursor_over(page->in, BAWN_PSP_PAGE_SIZE);
    bawn_cursor_seek(&c, address & PSP_PAGE_MASK);
    return bawn_cursor_take(&c, len);
}

uint8_t *psp_page_out(const struct psp_call *call, uint64_t address)
{
    struct psp_page *page = psp_page_at(call, address, BAWN_PLATFORM_PAGE_OUT);

    if (!page || (address & PSP_PAGE_MASK))
        return NULL;
    memset(page->out, 0, BAWN_PSP_PAGE_SIZE);
    page->changed = true;
    return page->out;
}

/* ---- Platform commands ---- */

/* API versions whose firmware gives these reports. */
static const struct {
    uint32_t report;
    uint8_t major, minor, build;
} versions[] = {
    { BAWN_SNP_REPORT_V2, 1, 55, 21 },
    { BAWN_SNP_REPORT_V3, 1, 56, 3 },
    { BAWN_SNP_REPORT_V5, 1, 58, 1 },
};

void psp_api_version(const struct psp *psp, uint8_t version[3])
{
    size_t i = PSP_COUNT(versions) - 1;

    while (i && versions[i].report != psp->report_version)
        i--;
    version[0] = versions[i].build;
    version[1] = versions[i].minor;
    version[2] = versions[i].major;
}

/* 8.1 */
static uint32_t platform_status(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_platform_status status = { .state = (uint8_t)psp->state };
    struct bawn_psp_addr addr;
    uint8_t version[3];
    uint8_t *out;

    if (!psp_read(call, &addr, sizeof(addr)))
        return BAWN_PSP_INVALID_LENGTH;
    out = psp_page_out(call, addr.paddr);
    if (!out)
        return BAWN_PSP_INVALID_ADDRESS;
    psp_api_version(psp, version);
    status.build_id = version[0];
    status.api_minor = version[1];
    status.api_major = version[2];
    status.is_rmp_init = psp->state == BAWN_PSP_PLATFORM_INIT;
    status.flags = psp->config;
    status.guest_count = (uint32_t)psp_guest_count(psp);
    memcpy(&status.current_tcb, psp->current_tcb, sizeof(status.current_tcb));
    memcpy(&status.reported_tcb, psp->reported_tcb, sizeof(status.reported_tcb));
    memcpy(out, &status, sizeof(status));
    return BAWN_PSP_SUCCESS;
}

static uint32_t enter_init(struct psp *psp)
{
    psp->state = BAWN_PSP_PLATFORM_INIT;
    memset(psp->unflushed, 0, sizeof(psp->unflushed));
    psp->save = PSP_SAVE;
    return BAWN_PSP_SUCCESS;
}

/* 8.3 */
static uint32_t init(struct psp *psp, struct psp_call *call)
{
    (void)call;
    return psp->state == BAWN_PSP_PLATFORM_UNINIT ? enter_init(psp)
                                                  : BAWN_PSP_INVALID_PLATFORM_STATE;
}

/* 8.4. The list of ranges concerns the RMP alone, which is the kernel module's. */
static uint32_t init_ex(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_init_ex in;

    if (psp->state != BAWN_PSP_PLATFORM_UNINIT)
        return BAWN_PSP_INVALID_PLATFORM_STATE;
    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    if ((in.flags & BAWN_PSP_INIT_EX_RESERVED) || in.reserved_04 ||
        !psp_all_zero(in.reserved_10, sizeof(in.reserved_10)))
        return BAWN_PSP_INVALID_PARAM;
    if ((in.flags & BAWN_PSP_INIT_EX_LIST_PADDR_EN) &&
        !psp_page_at(call, in.list_paddr, BAWN_PLATFORM_PAGE_IN))
        return BAWN_PSP_INVALID_ADDRESS;
    return enter_init(psp);
}

/* Guests that there still are go; their ASIDs would want a flush. */
static uint32_t leave_init(struct psp *psp)
{
    if (psp->state == BAWN_PSP_PLATFORM_UNINIT)
        return BAWN_PSP_SUCCESS;
    for (uint32_t asid = 0; asid <= PSP_ASIDS_MAX; asid++)
        if (psp->unflushed[asid])
            return BAWN_PSP_DFFLUSH_REQUIRED;
    for (size_t i = 0; i < psp->nr_guests; i++)
        if (psp->guests[i]->save != PSP_REMOVE && psp->guests[i]->asid)
            return BAWN_PSP_ACTIVE;
    psp_forget_all(psp);
    psp->state = BAWN_PSP_PLATFORM_UNINIT;
    psp->save = PSP_SAVE;
    return BAWN_PSP_SUCCESS;
}

/* 8.5 */
static uint32_t shutdown(struct psp *psp, struct psp_call *call)
{
    (void)call;
    return leave_init(psp);
}

/* 8.6 */
static uint32_t shutdown_ex(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_shutdown_ex in;

    if (!psp_read(call, &in, sizeof(in)) || in.length != sizeof(in))
        return BAWN_PSP_INVALID_LENGTH;
    if (in.flags & BAWN_PSP_SHUTDOWN_EX_RESERVED)
        return BAWN_PSP_INVALID_PARAM;
    return leave_init(psp);
}

/* 8.15 */
static uint32_t df_flush(struct psp *psp, struct psp_call *call)
{
    (void)call;
    memset(psp->unflushed, 0, sizeof(psp->unflushed));
    psp->save = PSP_SAVE;
    return BAWN_PSP_SUCCESS;
}

/* 8.7 */
static uint32_t config(struct psp *psp, struct psp_call *call)
{
    uint8_t reported[BAWN_SNP_TCB_SIZE];
    struct bawn_psp_config in;

    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    if ((in.flags & BAWN_PSP_CONFIG_RESERVED) ||
        !psp_all_zero(in.reserved_0c, sizeof(in.reserved_0c)))
        return BAWN_PSP_INVALID_PARAM;
    memcpy(reported, &in.reported_tcb, sizeof(reported));
    if (!in.reported_tcb)
        memcpy(reported, psp->current_tcb, sizeof(reported));
    if (!psp_tcb_at_most(reported, psp->committed_tcb))
        return BAWN_PSP_INVALID_PARAM;
    memcpy(psp->reported_tcb, reported, sizeof(reported));
    psp->config = in.flags;
    psp->save = PSP_SAVE;
    return BAWN_PSP_SUCCESS;
}

/* 8.8 */
static uint32_t commit(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_commit in;

    if (!psp_read(call, &in, sizeof(in)) || in.length != sizeof(in))
        return BAWN_PSP_INVALID_LENGTH;
    memcpy(psp->committed_tcb, psp->current_tcb, sizeof(psp->committed_tcb));
    psp->save = PSP_SAVE;
    return BAWN_PSP_SUCCESS;
}

/* A VLEK comes wrapped by AMD's key server under a key of the chip's: there is none here. */
static uint32_t vlek_load(struct psp *psp, struct psp_call *call)
{
    (void)psp, (void)call;
    return BAWN_PSP_UNSUPPORTED;
}

/* 8.29, 8.30: the RMP is the kernel module's, which has checked the page. */
static uint32_t page_state(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_addr in;
    uint64_t low;

    (void)psp;
    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    low =
        in.paddr & BAWN_PSP_ADDR_LARGE ? ((uint64_t)BAWN_PSP_LARGE_PAGES << 12) - 1 : PSP_PAGE_MASK;
    return in.paddr & low & ~BAWN_PSP_ADDR_LARGE ? BAWN_PSP_INVALID_ADDRESS : BAWN_PSP_SUCCESS;
}

/* ---- Dispatch ---- */

static const struct {
    uint32_t command;
    bool any_state; /* also before INIT */
    uint32_t (*handle)(struct psp *psp, struct psp_call *call);
} commands[] = {
    { BAWN_PSP_SNP_INIT, true, init },
    { BAWN_PSP_SNP_INIT_EX, true, init_ex },
    { BAWN_PSP_SNP_SHUTDOWN, true, shutdown },
    { BAWN_PSP_SNP_SHUTDOWN_EX, true, shutdown_ex },
    { BAWN_PSP_SNP_PLATFORM_STATUS, true, platform_status },
    { BAWN_PSP_SNP_CONFIG, false, config },
    { BAWN_PSP_SNP_COMMIT, false, commit },
    { BAWN_PSP_SNP_DF_FLUSH, false, df_flush },
    { BAWN_PSP_SNP_VLEK_LOAD, false, vlek_load },
    { BAWN_PSP_SNP_GCTX_CREATE, false, psp_gctx_create },
    { BAWN_PSP_SNP_ACTIVATE, false, psp_activate },
    { BAWN_PSP_SNP_DECOMMISSION, false, psp_decommission },
    { BAWN_PSP_SNP_GUEST_STATUS, false, psp_guest_status },
    { BAWN_PSP_SNP_LAUNCH_START, false, psp_launch_start },
    { BAWN_PSP_SNP_LAUNCH_UPDATE, false, psp_launch_update },
    { BAWN_PSP_SNP_LAUNCH_FINISH, false, psp_launch_finish },
    { BAWN_PSP_SNP_GUEST_REQUEST, false, psp_guest_request },
    { BAWN_PSP_SNP_PAGE_RECLAIM, false, page_state },
    { BAWN_PSP_SNP_PAGE_UNSMASH, false, page_state },
};

uint32_t psp_command(struct psp *psp, struct psp_call *call)
{
    for (size_t i = 0; i < PSP_COUNT(commands); i++) {
        if (commands[i].command != call->command)
            continue;
        if (!commands[i].any_state && psp->state != BAWN_PSP_PLATFORM_INIT)
            return BAWN_PSP_INVALID_PLATFORM_STATE;
        return commands[i].handle(psp, call);
    }
    return BAWN_PSP_INVALID_COMMAND;
}
