// SPDX-License-Identifier: Apache-2.0
/*
 * What guests ask for besides reports: derived keys, the TSC's parameters, and whether a CPUID
 * table is true. Payloads are authentic and still hostile: another tenant's guest wrote them.
 * AMD 56860 rev 1.55 to 1.58, chapter 7.
 */
#include "platform/firmware/parts.h"

uint32_t psp_key_select(const struct guest *guest, uint32_t key_sel)
{
    switch (key_sel) {
    case BAWN_PSP_KEY_SEL_ANY:
    case BAWN_PSP_KEY_SEL_VCEK:
        return guest->vcek_dis ? BAWN_PSP_INVALID_KEY : BAWN_PSP_SUCCESS;
    case BAWN_PSP_KEY_SEL_VLEK:
        return BAWN_PSP_INVALID_KEY; /* none is loaded */
    default:
        return BAWN_PSP_INVALID_PARAM;
    }
}

/* ---- MSG_KEY_REQ ---- */

/* What goes into a derived key. The first part always does, the rest when it was selected and is
 * zero otherwise. */
struct key_mix {
    uint32_t root, vmpl;
    uint64_t field_sel;
    uint8_t host_data[32];
    uint8_t id_key_digest[BAWN_SNP_DIGEST_SIZE], author_key_digest[BAWN_SNP_DIGEST_SIZE];

    uint64_t policy;
    uint8_t image_id[16], family_id[16], measurement[BAWN_SNP_DIGEST_SIZE];
    uint64_t tcb, mit_vector;
    uint32_t guest_svn;
    uint32_t zero;
};

static void mix(const struct guest *guest, const struct bawn_psp_key_req *in, struct key_mix *m)
{
    memset(m, 0, sizeof(*m));
    m->root = in->key_sel & BAWN_PSP_KEY_ROOT_VMRK;
    m->vmpl = in->vmpl;
    m->field_sel = in->field_sel;
    memcpy(m->host_data, guest->host_data, sizeof(m->host_data));
    memcpy(m->id_key_digest, guest->id_key_digest, sizeof(m->id_key_digest));
    memcpy(m->author_key_digest, guest->author_key_digest, sizeof(m->author_key_digest));
    if (in->field_sel & BAWN_PSP_MIX_POLICY)
        m->policy = guest->policy;
    if (in->field_sel & BAWN_PSP_MIX_IMAGE_ID)
        memcpy(m->image_id, guest->image_id, sizeof(m->image_id));
    if (in->field_sel & BAWN_PSP_MIX_FAMILY_ID)
        memcpy(m->family_id, guest->family_id, sizeof(m->family_id));
    if (in->field_sel & BAWN_PSP_MIX_MEASUREMENT)
        memcpy(m->measurement, guest->ld, sizeof(m->measurement));
    if (in->field_sel & BAWN_PSP_MIX_GUEST_SVN)
        m->guest_svn = in->guest_svn;
    if (in->field_sel & BAWN_PSP_MIX_TCB)
        m->tcb = in->tcb_version;
    if (in->field_sel & BAWN_PSP_MIX_MIT_VECTOR)
        m->mit_vector = in->launch_mit_vector;
}

static uint32_t check_key_request(const struct request *r, const struct bawn_psp_key_req *in)
{
    uint64_t fields = (BAWN_PSP_MIX_TCB << 1) - 1;
    uint8_t tcb[BAWN_SNP_TCB_SIZE];

    if (r->version > 1)
        fields |= BAWN_PSP_MIX_MIT_VECTOR;
    memcpy(tcb, &in->tcb_version, sizeof(tcb));
    if ((in->key_sel & BAWN_PSP_KEY_RESERVED) || in->reserved || (in->field_sel & ~fields))
        return BAWN_PSP_INVALID_PARAM;
    if (in->vmpl > BAWN_SNP_VMPL_MAX || in->vmpl < r->vmpl)
        return BAWN_PSP_INVALID_PARAM;
    if (in->guest_svn > r->guest->guest_svn || !psp_tcb_at_most(tcb, r->psp->committed_tcb) ||
        (in->launch_mit_vector & ~r->guest->launch_mit_vector))
        return BAWN_PSP_INVALID_PARAM;
    if (in->key_sel & BAWN_PSP_KEY_ROOT_VMRK)
        return BAWN_PSP_SUCCESS;
    return psp_key_select(r->guest, in->key_sel >> BAWN_PSP_KEY_SEL_SHIFT);
}

uint32_t psp_key_request(struct request *r)
{
    struct bawn_psp_key_rsp out = { 0 };
    struct bawn_psp_key_req in = { 0 };
    const uint8_t *root = r->psp->identity->secret;
    size_t root_len = sizeof(r->psp->identity->secret);
    struct key_mix m;
    bool ok = true;

    memcpy(&in, r->payload, r->len < sizeof(in) ? r->len : sizeof(in));
    out.status = check_key_request(r, &in);
    if (out.status == BAWN_PSP_SUCCESS) {
        if (in.key_sel & BAWN_PSP_KEY_ROOT_VMRK) {
            root = r->guest->vmrk;
            root_len = sizeof(r->guest->vmrk);
        }
        mix(r->guest, &in, &m);
        ok = psp_kdf(root, root_len, "guest key", &m, sizeof(m), out.key, sizeof(out.key));
    }
    memcpy(r->response, &out, sizeof(out));
    r->response_len = sizeof(out);
    OPENSSL_cleanse(&out, sizeof(out));
    return ok ? BAWN_PSP_SUCCESS : BAWN_PSP_HWERROR_PLATFORM;
}

/* ---- MSG_TSC_INFO_REQ ---- */

#define TSC_SCALE_ONE (1ull << 32) /* 8.32 fixed point: the guest's TSC runs as the host's */

uint32_t psp_tsc_info_request(struct request *r)
{
    struct bawn_psp_tsc_info_rsp out = { .tsc_scale = TSC_SCALE_ONE };

    if (!psp_all_zero(r->payload, r->len)) {
        out.status = BAWN_PSP_INVALID_PARAM;
        out.tsc_scale = 0;
    }
    memcpy(r->response, &out, sizeof(out));
    r->response_len = sizeof(out);
    return BAWN_PSP_SUCCESS;
}

/* ---- MSG_CPUID_REQ ---- */

uint32_t psp_cpuid_request(struct request *r)
{
    struct bawn_psp_cpuid_function f[BAWN_PSP_CPUID_MAX];
    struct bawn_cursor c = bawn_cursor_over(r->payload, r->len);
    struct bawn_psp_cpuid_rsp out = { 0 };
    struct bawn_psp_cpuid_req in;
    const uint8_t *p = bawn_cursor_take(&c, sizeof(in));
    size_t bytes;

    if (!p)
        return BAWN_PSP_INVALID_LENGTH;
    memcpy(&in, p, sizeof(in));
    if (in.count > BAWN_PSP_CPUID_MAX)
        return BAWN_PSP_INVALID_PARAM;
    bytes = in.count * sizeof(f[0]);
    p = bawn_cursor_take(&c, bytes);
    if (!p || bawn_cursor_left(&c))
        return BAWN_PSP_INVALID_LENGTH;
    memcpy(f, p, bytes);
    out.count = in.count;
    if (in.reserved_04 || in.reserved_08 || !psp_cpuid_correct(r->psp, f, in.count))
        out.status = BAWN_PSP_INVALID_PARAM;
    memcpy(r->response, &out, sizeof(out));
    memcpy(r->response + sizeof(out), f, bytes);
    r->response_len = sizeof(out) + bytes;
    return BAWN_PSP_SUCCESS;
}
