// SPDX-License-Identifier: Apache-2.0
/*
 * The shim's talk with the host. See ghcb.h.
 */
#include <string.h>

#include "guest/shim/cpu.h"
#include "guest/shim/ghcb.h"

static uint64_t ask(uint64_t request)
{
    shim_wrmsr(SHIM_MSR_GHCB, request);
    shim_vmgexit();
    return shim_rdmsr(SHIM_MSR_GHCB);
}

void shim_ghcb_negotiate(unsigned vcpus)
{
    uint64_t wanted = SHIM_FEATURE_SNP | (vcpus > 1 ? SHIM_FEATURE_AP_CREATION : 0);

    if (!shim_ghcb_version_fits(ask(SHIM_GHCB_SEV_INFO_REQUEST)))
        shim_fail(BAWN_SHIM_FAIL_GHCB_VERSION);
    if (!shim_ghcb_features_fit(ask(SHIM_GHCB_FEATURES_REQUEST), wanted))
        shim_fail(BAWN_SHIM_FAIL_GHCB_FEATURES);
}

/* The GHCB page's validation must change: the host cannot have done it before us. */
static void pvalidate(bool validate)
{
    bool unchanged;

    if (shim_pvalidate(SHIM_GHCB, SHIM_4K, validate, &unchanged) != SHIM_PVALIDATE_OK)
        shim_fail(BAWN_SHIM_FAIL_PVALIDATE);
    if (unchanged)
        shim_fail(BAWN_SHIM_FAIL_REPLAY);
}

void shim_ghcb_open(uint64_t *pte, uint64_t cbit)
{
    if (!shim_ghcb_registered(ask(SHIM_GHCB | SHIM_GHCB_REGISTER_REQUEST), SHIM_GHCB))
        shim_fail(BAWN_SHIM_FAIL_GHCB_REGISTER);
    pvalidate(false);
    if (!shim_ghcb_page_state_done(ask(shim_ghcb_page_state(SHIM_GHCB, SHIM_SHARED))))
        shim_fail(BAWN_SHIM_FAIL_PAGE_STATE);
    *pte &= ~cbit;
    shim_invlpg(SHIM_GHCB);
    memset(shim_at(SHIM_GHCB), 0, SHIM_PAGE);
}

void shim_ghcb_close(uint64_t *pte, uint64_t cbit)
{
    if (!shim_ghcb_page_state_done(ask(shim_ghcb_page_state(SHIM_GHCB, SHIM_PRIVATE))))
        shim_fail(BAWN_SHIM_FAIL_PAGE_STATE);
    *pte |= cbit;
    shim_invlpg(SHIM_GHCB);
    pvalidate(true);
    memset(shim_at(SHIM_GHCB), 0, SHIM_PAGE);
    shim_wrmsr(SHIM_MSR_GHCB, 0);
}
