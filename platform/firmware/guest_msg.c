// SPDX-License-Identifier: Apache-2.0
/*
 * SNP_GUEST_REQUEST: a message that the guest encrypted under one of its four VMPCKs, and the
 * answer to it. The host carries both and may change, drop, repeat or reorder them. A message
 * counts only when its sequence number is the next of its key, so that no key ever encrypts two
 * messages under one number. AMD 56860 rev 1.55, 7.1 and 8.26.
 *
 * What is wrong with a message has a status of its own: INVALID_PARAM the form of the header,
 * INVALID_LENGTH the payload's size, BAD_VERSION the message's version, UNSUPPORTED a message
 * that firmware knows and this model does not serve, AEAD_OFLOW the sequence number,
 * BAD_MEASUREMENT the tag.
 */
#include "platform/firmware/parts.h"

/* ---- Encryption ---- */

static void make_iv(uint64_t seqno, uint8_t iv[BAWN_PSP_MSG_IV_SIZE])
{
    memset(iv, 0, BAWN_PSP_MSG_IV_SIZE);
    memcpy(iv, &seqno, sizeof(seqno));
}

/* One direction of AES-256-GCM over a payload; the header from its algo field on is
 * authenticated with it. Decryption: false when the tag does not fit. */
static bool crypt_payload(bool encrypt, const uint8_t *key, struct bawn_psp_msg_header *header,
                          const uint8_t *in, uint8_t *out)
{
    const uint8_t *aad = (const uint8_t *)header + BAWN_PSP_MSG_AAD;
    const int aad_len = sizeof(*header) - BAWN_PSP_MSG_AAD;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t iv[BAWN_PSP_MSG_IV_SIZE];
    int n = 0, last = 0;
    bool ok;

    make_iv(header->seqno, iv);
    ok = ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv, encrypt) == 1;
    if (ok && !encrypt)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, BAWN_PSP_MSG_TAG_SIZE,
                                 header->authtag) == 1;
    ok = ok && EVP_CipherUpdate(ctx, NULL, &n, aad, aad_len) == 1 &&
         EVP_CipherUpdate(ctx, out, &n, in, header->size) == 1 && n == header->size &&
         EVP_CipherFinal_ex(ctx, out + n, &last) == 1 && !last;
    if (ok && encrypt)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, BAWN_PSP_MSG_TAG_SIZE,
                                 header->authtag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

/* ---- Kinds of messages ---- */

static const struct kind {
    uint8_t type;
    uint8_t versions;                     /* from 1 to this */
    uint16_t size[2];                     /* of a payload, by version; 0: any */
    uint32_t (*serve)(struct request *r); /* NULL: not served */
} kinds[] = {
    { BAWN_PSP_MSG_CPUID_REQ, 1, { 0 }, psp_cpuid_request },
    { BAWN_PSP_MSG_KEY_REQ,
      2,
      { BAWN_PSP_KEY_REQ_V1_SIZE, BAWN_PSP_KEY_REQ_V2_SIZE },
      psp_key_request },
    { BAWN_PSP_MSG_REPORT_REQ, 1, { sizeof(struct bawn_psp_report_req) }, psp_report_request },
    { BAWN_PSP_MSG_TSC_INFO_REQ,
      1,
      { sizeof(struct bawn_psp_tsc_info_req) },
      psp_tsc_info_request },
    /* Migration and the keys for it. */
    { BAWN_PSP_MSG_EXPORT_REQ, 1, { 0 }, NULL },
    { BAWN_PSP_MSG_IMPORT_REQ, 1, { 0 }, NULL },
    { BAWN_PSP_MSG_ABSORB_REQ, 1, { 0 }, NULL },
    { BAWN_PSP_MSG_VMRK_REQ, 1, { 0 }, NULL },
    { BAWN_PSP_MSG_ABSORB_NOMA_REQ, 1, { 0 }, NULL },
};

static const struct kind *find_kind(uint8_t type)
{
    for (size_t i = 0; i < PSP_COUNT(kinds); i++)
        if (kinds[i].type == type)
            return &kinds[i];
    return NULL;
}

/* ---- The header ---- */

static bool well_formed(const struct bawn_psp_msg_header *h)
{
    return psp_all_zero(h->authtag + BAWN_PSP_MSG_TAG_SIZE,
                        sizeof(h->authtag) - BAWN_PSP_MSG_TAG_SIZE) &&
           !h->reserved_28 && h->algo == BAWN_PSP_MSG_ALGO_AES256_GCM &&
           h->header_version == BAWN_PSP_MSG_HEADER_VERSION && h->header_size == sizeof(*h) &&
           !h->reserved_38 && h->vmpck < BAWN_PSP_VMPCKS &&
           psp_all_zero(h->reserved_3d, sizeof(h->reserved_3d));
}

static uint32_t check_header(const struct bawn_psp_msg_header *h, const struct kind **kind)
{
    const struct kind *k = find_kind(h->type);

    *kind = k;
    if (!well_formed(h))
        return BAWN_PSP_INVALID_PARAM;
    if (h->size > BAWN_PSP_MSG_MAX)
        return BAWN_PSP_INVALID_LENGTH;
    if (!k)
        return BAWN_PSP_INVALID_PARAM;
    if (!k->serve)
        return BAWN_PSP_UNSUPPORTED;
    if (!h->version || h->version > k->versions)
        return BAWN_PSP_BAD_VERSION;
    if (k->size[0] && h->size != k->size[h->version - 1])
        return BAWN_PSP_INVALID_LENGTH;
    return BAWN_PSP_SUCCESS;
}

/* ---- The command ---- */

/* Encrypts the response into its page. */
static bool respond(struct guest *guest, const struct bawn_psp_msg_header *to,
                    const struct request *r, uint8_t *page)
{
    struct bawn_psp_msg_header h = {
        .seqno = to->seqno + 1,
        .algo = BAWN_PSP_MSG_ALGO_AES256_GCM,
        .header_version = BAWN_PSP_MSG_HEADER_VERSION,
        .header_size = sizeof(h),
        .type = to->type + 1,
        .version = to->version,
        .size = (uint16_t)r->response_len,
        .vmpck = to->vmpck,
    };

    if (!crypt_payload(true, guest->vmpck[to->vmpck], &h, r->response, page + sizeof(h)))
        return false;
    memcpy(page, &h, sizeof(h));
    return true;
}

static uint32_t serve(struct psp *psp, struct guest *guest, struct bawn_psp_msg_header *h,
                      const uint8_t *ciphertext, uint8_t *response_page)
{
    uint8_t payload[BAWN_PSP_MSG_MAX], response[BAWN_PSP_MSG_MAX] = { 0 };
    struct request r = {
        .psp = psp,
        .guest = guest,
        .vmpl = h->vmpck,
        .version = h->version,
        .payload = payload,
        .len = h->size,
        .response = response,
    };
    const struct kind *kind;
    uint32_t status = check_header(h, &kind);

    if (status != BAWN_PSP_SUCCESS)
        return status;
    if (guest->messages[h->vmpck] > UINT64_MAX - 2 || h->seqno != guest->messages[h->vmpck] + 1)
        return BAWN_PSP_AEAD_OFLOW;
    if (!crypt_payload(false, guest->vmpck[h->vmpck], h, ciphertext, payload))
        return BAWN_PSP_BAD_MEASUREMENT;
    status = kind->serve(&r);
    if (status == BAWN_PSP_SUCCESS && !respond(guest, h, &r, response_page))
        status = BAWN_PSP_HWERROR_PLATFORM;
    if (status == BAWN_PSP_SUCCESS) {
        guest->messages[h->vmpck] += 2;
        guest->save = PSP_SAVE;
    }
    OPENSSL_cleanse(payload, sizeof(payload));
    OPENSSL_cleanse(response, sizeof(response));
    return status;
}

#define BUSY_TIMES 2

static bool put_off(const struct psp *psp, struct guest *guest)
{
    if (!(psp->faults & PSP_FAULT_BUSY))
        return false;
    if (guest->busy < BUSY_TIMES) {
        guest->busy++;
        return true;
    }
    guest->busy = 0;
    return false;
}

uint32_t psp_guest_request(struct psp *psp, struct psp_call *call)
{
    struct bawn_psp_guest_request in;
    struct bawn_psp_msg_header header;
    const uint8_t *request, *ciphertext;
    struct bawn_cursor c;
    struct guest *guest;
    uint8_t *response;
    uint32_t status = BAWN_PSP_SUCCESS;

    if (!psp_read(call, &in, sizeof(in)))
        return BAWN_PSP_INVALID_LENGTH;
    guest = psp_guest_of(psp, in.gctx_paddr, &status);
    if (!guest)
        return status;
    if (guest->state != BAWN_PSP_GUEST_RUNNING)
        return BAWN_PSP_INVALID_GUEST_STATE;
    if ((in.request_paddr & PSP_PAGE_MASK) || (in.response_paddr & PSP_PAGE_MASK) ||
        in.request_paddr == in.response_paddr)
        return BAWN_PSP_INVALID_ADDRESS;
    request = psp_page_in(call, in.request_paddr, BAWN_PSP_PAGE_SIZE);
    response = request ? psp_page_out(call, in.response_paddr) : NULL;
    if (!response)
        return BAWN_PSP_INVALID_ADDRESS;
    if (put_off(psp, guest)) {
        psp_page_at(call, in.response_paddr, BAWN_PLATFORM_PAGE_OUT)->changed = false;
        return BAWN_PLATFORM_BUSY;
    }
    c = bawn_cursor_over(request, BAWN_PSP_PAGE_SIZE);
    memcpy(&header, bawn_cursor_take(&c, sizeof(header)), sizeof(header));
    ciphertext = bawn_cursor_take(&c, BAWN_PSP_MSG_MAX);
    return serve(psp, guest, &header, ciphertext, response);
}
