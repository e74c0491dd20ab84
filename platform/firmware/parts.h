/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the secure processor's model share: its state, its guests, and small functions
 * for bytes. Command buffers, pages and messages are hostile.
 */
#ifndef BAWN_FIRMWARE_PARTS_H
#define BAWN_FIRMWARE_PARTS_H

#include "platform/firmware/psp.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <bawn/cursor.h>

/* The structures of psp.h and snp.h are copied as they stand. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "wire structures are little-endian");

#define PSP_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PSP_SECRET_SIZE 48

/* ---- Products (product.c) ---- */

struct psp_model {
    const char *name;
    const char *cert_name;           /* in the VCEK: "Milan-B0" */
    uint8_t family, model, stepping; /* as reports have them */
    uint32_t fms;                    /* CPUID Fn0000_0001_EAX */
    uint8_t tcb[BAWN_SNP_TCB_SIZE];
    bool turin; /* layout of TCB versions, length of the chip ID */
};

const struct psp_model *psp_model(enum psp_product product);

/* Whether each part of a is at most that of b. */
bool psp_tcb_at_most(const uint8_t *a, const uint8_t *b);

/* ---- Identity (identity.c, certs.c) ---- */

struct psp_identity {
    enum psp_product product;
    uint8_t chip_id[BAWN_SNP_CHIP_ID_SIZE];
    uint8_t secret[PSP_SECRET_SIZE];
    EVP_PKEY *ark_key, *ask_key;
    X509 *ark, *ask;
};

/* The VCEK of that TCB, derived from the chip's secret; NULL: OpenSSL failed. */
EVP_PKEY *psp_vcek(const struct psp_identity *identity, const uint8_t *tcb);
/* HKDF with SHA-384. */
bool psp_kdf(const uint8_t *secret, size_t secret_len, const char *label, const void *info,
             size_t info_len, uint8_t *out, size_t out_len);
enum bawn_status psp_ca_create(struct psp_identity *identity, int64_t now, struct bawn_error *err);

/* ---- The platform (psp.c) ---- */

struct psp;

/* Build, minor, major. */
void psp_api_version(const struct psp *psp, uint8_t version[3]);

/* ---- Guests (guest.c) ---- */

/* What of a guest is not saved. */
enum psp_save {
    PSP_SAVED,
    PSP_SAVE,   /* the record is to be written */
    PSP_PARK,   /* the same, whole, though a launch is under way */
    PSP_REMOVE, /* the guest is gone, the record is to be removed */
};

struct guest {
    uint64_t gctx;  /* address of its context page */
    uint32_t state; /* enum bawn_psp_guest_state */
    uint32_t asid;  /* 0: not active */
    uint64_t policy;
    bool lost; /* its launch was under way when the process ended */
    bool author_key_en, vcek_dis;
    uint32_t guest_svn, tsc_khz;
    uint8_t ld[BAWN_SNP_DIGEST_SIZE];
    uint8_t vmpck[BAWN_PSP_VMPCKS][BAWN_PSP_VMPCK_SIZE];
    uint64_t messages[BAWN_PSP_VMPCKS]; /* by VMPCK: requests and responses so far */
    uint8_t vmrk[32];
    uint8_t family_id[16], image_id[16];
    uint8_t id_key_digest[BAWN_SNP_DIGEST_SIZE], author_key_digest[BAWN_SNP_DIGEST_SIZE];
    uint8_t report_id[32], host_data[32], gosvw[16];
    uint8_t launch_tcb[BAWN_SNP_TCB_SIZE];
    uint64_t launch_mit_vector;

    enum psp_save save;
    bool recorded;    /* there is a record */
    bool record_lost; /* and it says that a launch is under way */
    unsigned busy;    /* PSP_FAULT_BUSY: how often its present request was put off */
};

struct psp {
    struct psp_identity *identity;
    const struct psp_model *model;
    uint32_t report_version;
    unsigned faults;
    bool smt;
    uint32_t c_bit; /* 0: not known */
    struct bawn_psp_cpuid_function *offer;
    size_t nr_offer;

    uint32_t state;  /* enum bawn_psp_platform_state */
    uint32_t config; /* BAWN_PSP_CONFIG_* */
    uint8_t current_tcb[BAWN_SNP_TCB_SIZE];
    uint8_t committed_tcb[BAWN_SNP_TCB_SIZE];
    uint8_t reported_tcb[BAWN_SNP_TCB_SIZE];
    uint8_t endorsed_tcb[BAWN_SNP_TCB_SIZE];
    bool endorsed;
    uint32_t nr_asids;
    uint8_t unflushed[PSP_ASIDS_MAX + 1]; /* by ASID: wants a DF_FLUSH before its next use */
    enum psp_save save;

    EVP_MD *sha384;
    EVP_MD_CTX *md; /* for the thousands of digests of a launch */
    struct guest *guests[BAWN_PLATFORM_CONTEXTS_MAX];
    size_t nr_guests;
};

struct guest *psp_guest_find(const struct psp *psp, uint64_t gctx);
size_t psp_guest_count(const struct psp *psp);
/* The guest is gone at once; its record goes at the next psp_unsaved(). */
void psp_guest_forget(struct psp *psp, struct guest *guest);
/* Without a record to remove. */
void psp_guest_free(struct guest *guest);
/* The guest of a command: NULL and the status when there is none, or it was lost. */
struct guest *psp_guest_of(const struct psp *psp, uint64_t gctx, uint32_t *status);
void psp_forget_all(struct psp *psp);
/* A new one in the table; NULL: no room or no memory. */
struct guest *psp_guest_add(struct psp *psp, uint64_t gctx);

uint32_t psp_gctx_create(struct psp *psp, struct psp_call *call);
uint32_t psp_activate(struct psp *psp, struct psp_call *call);
uint32_t psp_decommission(struct psp *psp, struct psp_call *call);
uint32_t psp_guest_status(struct psp *psp, struct psp_call *call);

/* ---- Launch (launch.c, id_block.c, cpuid.c) ---- */

uint32_t psp_launch_start(struct psp *psp, struct psp_call *call);
uint32_t psp_launch_update(struct psp *psp, struct psp_call *call);
uint32_t psp_launch_finish(struct psp *psp, struct psp_call *call);
/* Checks the ID block and, with author, who vouches for its key; fills what the report repeats. */
uint32_t psp_id_block_check(struct guest *guest, const uint8_t *block, const uint8_t *auth,
                            bool author);
/* Corrects the functions to what the processor offers. False: something had to be corrected. */
bool psp_cpuid_correct(const struct psp *psp, struct bawn_psp_cpuid_function *f, uint32_t n);
/* The page as it is to be: out. */
uint32_t psp_cpuid_page(const struct psp *psp, const uint8_t *in, uint8_t *out);

/* ---- Guest messages (guest_msg.c, requests.c, report.c) ---- */

uint32_t psp_guest_request(struct psp *psp, struct psp_call *call);

struct request {
    struct psp *psp;
    struct guest *guest;
    uint32_t vmpl; /* whose VMPCK it came with */
    uint8_t version;
    const uint8_t *payload;
    size_t len;
    uint8_t *response; /* room for BAWN_PSP_MSG_MAX, all zero */
    size_t response_len;
};

/* Each: BAWN_PSP_SUCCESS and a response (which has a status of its own), or what the command
 * fails with. */
uint32_t psp_report_request(struct request *r);
uint32_t psp_key_request(struct request *r);
uint32_t psp_tsc_info_request(struct request *r);
uint32_t psp_cpuid_request(struct request *r);
/* The key that KEY_SEL asks for is there: 0, or the status for the response. */
uint32_t psp_key_select(const struct guest *guest, uint32_t key_sel);

/* Signs with SNP's form of an ECDSA signature. */
bool psp_sign(EVP_PKEY *key, const void *message, size_t len, struct bawn_snp_signature *out);

/* ---- Messages (message.c) ---- */

/* HELLO, whose buffer has any length. Writes the welcome; the status. */
uint32_t psp_hello(struct psp *psp, const uint8_t *buffer, size_t len,
                   struct bawn_platform_welcome *welcome);

/* ---- Bytes ---- */

/* Copies a structure of exactly len bytes out of a command's buffer. */
static inline bool psp_read(const struct psp_call *call, void *out, size_t len)
{
    struct bawn_cursor c = bawn_cursor_over(call->buffer, call->buffer_len);
    const uint8_t *p = bawn_cursor_take(&c, len);

    if (!p || bawn_cursor_left(&c))
        return false;
    memcpy(out, p, len);
    return true;
}

static inline bool psp_all_zero(const void *data, size_t len)
{
    struct bawn_cursor c = bawn_cursor_over(data, len);

    return bawn_cursor_zeros(&c, len);
}

#define PSP_PAGE_MASK ((uint64_t)BAWN_PSP_PAGE_SIZE - 1)

/* The page of the call that the address lies in, if it came with these flags; else NULL. */
struct psp_page *psp_page_at(const struct psp_call *call, uint64_t address, uint32_t flags);
/* What the firmware reads at an address: len bytes within one page; NULL: INVALID_ADDRESS. */
const uint8_t *psp_page_in(const struct psp_call *call, uint64_t address, size_t len);
/* A zeroed page to write at an address; NULL: INVALID_ADDRESS. */
uint8_t *psp_page_out(const struct psp_call *call, uint64_t address);

#endif
