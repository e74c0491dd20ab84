// SPDX-License-Identifier: Apache-2.0
/*
 * The launch of a guest: policy, the pages and the digest over them, the secrets page, and the
 * end. Command buffers and pages are hostile. AMD 56860 rev 1.55, 8.16 to 8.18.
 */
#include "platform/firmware/parts.h"

#include <openssl/rand.h>

/* ---- SNP_LAUNCH_START ---- */

/* What the modelled platform does not have, so that a policy may not ask for it. */
#define POLICY_NOT_HERE                                           \
    (BAWN_SNP_POLICY_MEM_AES_256_XTS | BAWN_SNP_POLICY_RAPL_DIS | \
     BAWN_SNP_POLICY_CIPHERTEXT_HIDING_DRAM)

/* 4.3. One socket, no CXL memory, no page swap: what forbids them is met. DEBUG is the guest
 * owner's to allow; there are no debug commands here. */
static uint32_t check_policy(const struct psp *psp, uint64_t policy)
{
    uint8_t version[3];
    uint32_t asked, ours;

    if (!(policy & BAWN_SNP_POLICY_ONE) || (policy & BAWN_SNP_POLICY_RESERVED))
        return BAWN_PSP_INVALID_PARAM;
    psp_api_version(psp, version);
    ours = (uint32_t)version[2] << 8 | version[1];
    asked = (uint32_t)(policy & (BAWN_SNP_POLICY_ABI_MAJOR | BAWN_SNP_POLICY_ABI_MINOR));
    if (asked > ours)
        return BAWN_PSP_POLICY_FAILURE;
    if (psp->smt && !(policy & BAWN_SNP_POLICY_SMT))
        return BAWN_PSP_POLICY_FAILURE;
    return policy & POLICY_NOT_HERE ? BAWN_PSP_POLICY_FAILURE : BAWN_PSP_SUCCESS;
}

static bool draw_secrets(struct guest *guest)
{
    return RAND_priv_bytes((uint8_t *)guest->vmpck, sizeof(guest->vmpck)) == 1 &&
           RAND_priv_bytes(guest->vmrk, sizeof(guest->vmrk)) == 1 &&
           RAND_bytes(guest->report_id, sizeof(guest->report_id)) == 1;
}

uint32_t psp_launch_start(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_launch_start in;
    struct guest *guest;
    uint32_t status = BAWN_PSP_SUCCESS;

    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    guest = psp_guest_of(psp, in.gctx_paddr, &status);
    if (!guest)
        return status;
    if (guest->state != BAWN_PSP_GUEST_INIT)
        return BAWN_PSP_INVALID_GUEST_STATE;
    if (in.flags & BAWN_PSP_LAUNCH_RESERVED)
        return BAWN_PSP_INVALID_PARAM;
    status = check_policy(psp, in.policy);
    if (status != BAWN_PSP_SUCCESS)
        return status;
    /* No migration: neither an agent nor an incoming image. */
    if (in.flags & BAWN_PSP_LAUNCH_MA_EN)
        return in.policy & BAWN_SNP_POLICY_MIGRATE_MA ? BAWN_PSP_UNSUPPORTED
                                                      : BAWN_PSP_POLICY_FAILURE;
    if (in.flags & BAWN_PSP_LAUNCH_IMI_EN)
        return BAWN_PSP_UNSUPPORTED;
    if (!draw_secrets(guest))
        return BAWN_PSP_HWERROR_PLATFORM;
    guest->policy = in.policy;
    guest->tsc_khz = in.desired_tsc_khz;
    memcpy(guest->gosvw, in.gosvw, sizeof(guest->gosvw));
    memcpy(guest->launch_tcb, psp->current_tcb, sizeof(guest->launch_tcb));
    guest->state = BAWN_PSP_GUEST_LAUNCH;
    guest->save = PSP_SAVE;
    return BAWN_PSP_SUCCESS;
}

/* ---- SNP_LAUNCH_UPDATE ---- */

static bool digest(const struct psp *psp, const void *data, size_t len, uint8_t *out)
{
    return EVP_DigestInit_ex2(psp->md, psp->sha384, NULL) == 1 &&
           EVP_DigestUpdate(psp->md, data, len) == 1 && EVP_DigestFinal_ex(psp->md, out, NULL) == 1;
}

/* 8.17.2: the digest of PAGE_INFO, which begins with the digest so far, is the next. */
static bool extend(const struct psp *psp, struct guest *guest,
                   const struct bawn_psp_launch_update *in, const struct psp_page *page,
                   uint32_t type)
{
    struct bawn_psp_page_info info = {
        .length = sizeof(info),
        .page_type = (uint8_t)type,
        .imi_page = (in->page & BAWN_PSP_PAGE_IMI) != 0,
        .vmpl1_perms = in->vmpl1_perms,
        .vmpl2_perms = in->vmpl2_perms,
        .vmpl3_perms = in->vmpl3_perms,
        .gpa = page->gpa,
    };
    bool measured = type == BAWN_PSP_PAGE_NORMAL || type == BAWN_PSP_PAGE_VMSA;

    memcpy(info.digest_cur, guest->ld, sizeof(info.digest_cur));
    if (measured && !digest(psp, page->in, BAWN_PSP_PAGE_SIZE, info.contents))
        return false;
    return digest(psp, &info, sizeof(info), guest->ld);
}

static void put_secrets(const struct psp *psp, const struct guest *guest, uint8_t *out)
{
    struct bawn_psp_secrets secrets = {
        .version = BAWN_PSP_SECRETS_VERSION,
        .fms = psp->model->fms,
        .launch_mit_vector = guest->launch_mit_vector,
    };

    memcpy(secrets.gosvw, guest->gosvw, sizeof(secrets.gosvw));
    memcpy(secrets.vmpck, guest->vmpck, sizeof(secrets.vmpck));
    memcpy(out, &secrets, sizeof(secrets));
    OPENSSL_cleanse(&secrets, sizeof(secrets));
}

/* The contents, before the page is measured. */
static uint32_t fill_page(const struct psp *psp, const struct guest *guest, struct psp_page *page,
                          uint32_t type)
{
    switch (type) {
    case BAWN_PSP_PAGE_ZERO:
        memset(page->out, 0, BAWN_PSP_PAGE_SIZE);
        break;
    case BAWN_PSP_PAGE_SECRETS:
        put_secrets(psp, guest, page->out);
        break;
    case BAWN_PSP_PAGE_CPUID:
        page->changed = true;
        return psp_cpuid_page(psp, page->in, page->out);
    default:
        return BAWN_PSP_SUCCESS;
    }
    page->changed = true;
    return BAWN_PSP_SUCCESS;
}

static uint32_t check_update(const struct bawn_psp_launch_update *in, uint32_t type)
{
    uint8_t perms = in->vmpl1_perms | in->vmpl2_perms | in->vmpl3_perms;

    if ((in->page & BAWN_PSP_PAGE_RESERVED) || in->reserved_0c || in->reserved_18 ||
        in->reserved_1c || (perms & BAWN_PSP_PERM_RESERVED))
        return BAWN_PSP_INVALID_PARAM;
    if (type < BAWN_PSP_PAGE_NORMAL || type > BAWN_PSP_PAGE_CPUID)
        return BAWN_PSP_INVALID_PARAM;
    if (in->page & BAWN_PSP_PAGE_IMI) /* the launch has none */
        return BAWN_PSP_INVALID_PARAM;
    if ((in->page & BAWN_PSP_PAGE_LARGE) && type != BAWN_PSP_PAGE_NORMAL &&
        type != BAWN_PSP_PAGE_ZERO && type != BAWN_PSP_PAGE_UNMEASURED)
        return BAWN_PSP_INVALID_PAGE_SIZE;
    return BAWN_PSP_SUCCESS;
}

/* The pages follow each other from the address on, as many as there must be. */
static bool check_pages(const struct psp_call *call, const struct bawn_psp_launch_update *in,
                        uint32_t type)
{
    uint32_t flags = bawn_platform_launch_use(type);
    size_t n = in->page & BAWN_PSP_PAGE_LARGE ? BAWN_PSP_LARGE_PAGES : 1;

    if (call->nr_pages != n || in->page_paddr & ((n << 12) - 1))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct psp_page *page = &call->pages[i];

        if (page->paddr != in->page_paddr + ((uint64_t)i << 12) || page->flags != flags ||
            (page->gpa & PSP_PAGE_MASK))
            return false;
    }
    return true;
}

uint32_t psp_launch_update(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_launch_update in;
    struct guest *guest;
    uint32_t type, status = BAWN_PSP_SUCCESS;

    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    guest = psp_guest_of(psp, in.gctx_paddr, &status);
    if (!guest)
        return status;
    if (guest->state != BAWN_PSP_GUEST_LAUNCH)
        return BAWN_PSP_INVALID_GUEST_STATE;
    if (!guest->asid)
        return BAWN_PSP_INACTIVE;
    type = (in.page & BAWN_PSP_PAGE_TYPE) >> BAWN_PSP_PAGE_TYPE_SHIFT;
    status = check_update(&in, type);
    if (status != BAWN_PSP_SUCCESS)
        return status;
    if (!check_pages(call, &in, type))
        return BAWN_PSP_INVALID_ADDRESS;
    for (size_t i = 0; i < call->nr_pages; i++) {
        status = fill_page(psp, guest, &call->pages[i], type);
        if (status != BAWN_PSP_SUCCESS)
            return status;
        if (!extend(psp, guest, &in, &call->pages[i], type))
            return BAWN_PSP_HWERROR_PLATFORM;
    }
    /* Once the record says that the launch is under way it stays true without being written. */
    if (!guest->recorded || !guest->record_lost)
        guest->save = PSP_SAVE;
    return BAWN_PSP_SUCCESS;
}

/* ---- SNP_LAUNCH_FINISH ---- */

uint32_t psp_launch_finish(struct psp *psp, struct psp_call *call)
{
    const uint8_t *block, *auth;
    struct bawn_psp_launch_finish in;
    struct guest *guest;
    uint32_t status = BAWN_PSP_SUCCESS;

    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    guest = psp_guest_of(psp, in.gctx_paddr, &status);
    if (!guest)
        return status;
    if (guest->state != BAWN_PSP_GUEST_LAUNCH)
        return BAWN_PSP_INVALID_GUEST_STATE;
    if ((in.flags & BAWN_PSP_FINISH_RESERVED) ||
        ((in.flags & BAWN_PSP_FINISH_AUTH_KEY_EN) && !(in.flags & BAWN_PSP_FINISH_ID_BLOCK_EN)))
        return BAWN_PSP_INVALID_PARAM;
    if (in.flags & BAWN_PSP_FINISH_ID_BLOCK_EN) {
        block = psp_page_in(call, in.id_block_paddr, sizeof(struct bawn_snp_id_block));
        auth = psp_page_in(call, in.id_auth_paddr, sizeof(struct bawn_snp_id_auth));
        if (!block || !auth)
            return BAWN_PSP_INVALID_ADDRESS;
        status = psp_id_block_check(guest, block, auth, in.flags & BAWN_PSP_FINISH_AUTH_KEY_EN);
        if (status != BAWN_PSP_SUCCESS)
            return status;
    }
    guest->vcek_dis = in.flags & BAWN_PSP_FINISH_VCEK_DIS;
    memcpy(guest->host_data, in.host_data, sizeof(guest->host_data));
    guest->state = BAWN_PSP_GUEST_RUNNING;
    guest->save = PSP_SAVE;
    return BAWN_PSP_SUCCESS;
}
