// SPDX-License-Identifier: Apache-2.0
/*
 * Guest contexts: their table, and the commands of a guest's life but for its launch. A context
 * is known by the address of its context page, whose bytes nobody uses. AMD 56860 rev 1.55,
 * chapters 5 and 8.
 */
#include "platform/firmware/parts.h"

#include <stdlib.h>

#include <openssl/rand.h>

/* ---- The table ---- */

struct guest *psp_guest_find(const struct psp *psp, uint64_t gctx)
{
    for (size_t i = 0; i < psp->nr_guests; i++)
        if (psp->guests[i]->gctx == gctx && psp->guests[i]->save != PSP_REMOVE)
            return psp->guests[i];
    return NULL;
}

size_t psp_guest_count(const struct psp *psp)
{
    size_t count = 0;

    for (size_t i = 0; i < psp->nr_guests; i++)
        count += psp->guests[i]->save != PSP_REMOVE;
    return count;
}

struct guest *psp_guest_of(const struct psp *psp, uint64_t gctx, uint32_t *status)
{
    struct guest *guest = psp_guest_find(psp, gctx);

    if (!guest)
        *status = BAWN_PSP_INVALID_GUEST;
    else if (guest->lost)
        *status = BAWN_PSP_INVALID_GUEST_STATE;
    return guest && !guest->lost ? guest : NULL;
}

/* A guest whose record is yet to be removed gives its place to one of the same address, whose
 * record will replace it. */
struct guest *psp_guest_add(struct psp *psp, uint64_t gctx)
{
    struct guest *guest = NULL;

    for (size_t i = 0; i < psp->nr_guests; i++)
        if (psp->guests[i]->gctx == gctx)
            guest = psp->guests[i];
    if (guest) {
        OPENSSL_cleanse(guest, sizeof(*guest));
    } else {
        if (psp->nr_guests == PSP_COUNT(psp->guests))
            return NULL;
        guest = calloc(1, sizeof(*guest));
        if (!guest)
            return NULL;
        psp->guests[psp->nr_guests++] = guest;
    }
    guest->gctx = gctx;
    guest->save = PSP_SAVE;
    return guest;
}

void psp_guest_free(struct guest *guest)
{
    OPENSSL_cleanse(guest, sizeof(*guest));
    free(guest);
}

void psp_guest_forget(struct psp *psp, struct guest *guest)
{
    uint64_t gctx = guest->gctx;

    if (guest->asid) {
        psp->unflushed[guest->asid] = 1;
        psp->save = PSP_SAVE;
    }
    OPENSSL_cleanse(guest, sizeof(*guest));
    guest->gctx = gctx;
    guest->save = PSP_REMOVE;
}

void psp_forget_all(struct psp *psp)
{
    for (size_t i = 0; i < psp->nr_guests; i++)
        if (psp->guests[i]->save != PSP_REMOVE)
            psp_guest_forget(psp, psp->guests[i]);
}

/* ---- Commands ---- */

/* 8.9. That the page is a context page, and no guest's, is the kernel module's business; that it
 * is not one already is checked here too. */
uint32_t psp_gctx_create(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_addr in;

    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    if (!in.paddr || (in.paddr & PSP_PAGE_MASK))
        return BAWN_PSP_INVALID_ADDRESS;
    if (psp_guest_find(psp, in.paddr))
        return BAWN_PSP_INVALID_PAGE_STATE;
    return psp_guest_add(psp, in.paddr) ? BAWN_PSP_SUCCESS : BAWN_PSP_RESOURCE_LIMIT;
}

/* 8.10 */
uint32_t psp_activate(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_activate in;
    struct guest *guest;
    uint32_t status = BAWN_PSP_SUCCESS;

    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    guest = psp_guest_of(psp, in.gctx_paddr, &status);
    if (!guest)
        return status;
    if (guest->state == BAWN_PSP_GUEST_INIT)
        return BAWN_PSP_INVALID_GUEST_STATE;
    if (guest->asid)
        return BAWN_PSP_ACTIVE;
    if (!in.asid || in.asid > psp->nr_asids)
        return BAWN_PSP_INVALID_ASID;
    for (size_t i = 0; i < psp->nr_guests; i++)
        if (psp->guests[i]->asid == in.asid)
            return BAWN_PSP_ASID_OWNED;
    if (psp->unflushed[in.asid])
        return BAWN_PSP_DFFLUSH_REQUIRED;
    guest->asid = in.asid;
    guest->save = PSP_SAVE;
    return BAWN_PSP_SUCCESS;
}

/* 8.12. Also of a guest whose launch was lost. */
uint32_t psp_decommission(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_addr in;
    struct guest *guest;

    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    guest = psp_guest_find(psp, in.paddr);
    if (!guest)
        return BAWN_PSP_INVALID_GUEST;
    psp_guest_forget(psp, guest);
    return BAWN_PSP_SUCCESS;
}

/* 8.14. Also of a guest whose launch was lost. */
uint32_t psp_guest_status(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_guest_status status = { 0 };
    struct bawn_psp_guest_status_cmd in;
    const struct guest *guest;
    uint8_t *out;

    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    guest = psp_guest_find(psp, in.gctx_paddr);
    if (!guest)
        return BAWN_PSP_INVALID_GUEST;
    out = psp_page_out(call, in.status_paddr);
    if (!out)
        return BAWN_PSP_INVALID_ADDRESS;
    status.policy = guest->policy;
    status.asid = guest->asid;
    status.state = (uint8_t)guest->state;
    status.vcek_dis = guest->vcek_dis;
    memcpy(out, &status, sizeof(status));
    return BAWN_PSP_SUCCESS;
}
