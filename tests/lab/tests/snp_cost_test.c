/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an SNP guest's requests cost its host, and a plain guest's exits of the same kind, in ticks
 * of the time-stamp counter: in a deterministic boot (`make bench`) these are instructions, of
 * guest, module, platform, VMM and daemon together. Prints a table; fails if a request does.
 */
#define _GNU_SOURCE
#include "snp_guest.h"

#include <openssl/evp.h>

#include "bawn/psp.h"

#define PLAIN_TIMES 200
#define SECRETS (GUEST_MEM - 0x1000)
#define AT_INFO2 0x3a0 /* of a GHCB: SW_EXITINFO2, the firmware's error */
#define AES_256_GCM 1

GUEST_FN(snp_key);

GUEST_FN(snp_cost_nothing);
GUEST_FN(snp_cost_efer);
GUEST_FN(snp_cost_vmgexit);
GUEST_FN(snp_cost_features);
GUEST_FN(snp_cost_pvalidate);
GUEST_FN(snp_cost_cpuid);
GUEST_FN(snp_cost_ghcb_cpuid);
GUEST_FN(snp_cost_ghcb_msr);
GUEST_FN(snp_cost_ghcb_io);
GUEST_FN(snp_cost_psc_msr);
GUEST_FN(snp_cost_psc_list);
GUEST_FN(snp_cost_request);
GUEST_FN(plain_cost_nothing);
GUEST_FN(plain_cost_efer);
GUEST_FN(plain_cost_cpuid);
GUEST_FN(plain_cost_msr);
GUEST_FN(plain_cost_io);
GUEST_FN(plain_cost_vmmcall);

static const struct row {
    const char *name;
    const uint8_t *snp, *plain; /* NULL: there is no such thing */
    unsigned times, each;       /* turns of the SNP guest's loop, and things done in one */
} rows[] = {
    { "an empty loop", code_snp_cost_nothing, code_plain_cost_nothing, 200, 1 },
    { "RDMSR of EFER", code_snp_cost_efer, code_plain_cost_efer, 200, 1 },
    { "VMGEXIT by the MSR / VMMCALL", code_snp_cost_vmgexit, code_plain_cost_vmmcall, 200, 1 },
    { "VMGEXIT by the page: features", code_snp_cost_features, NULL, 200, 1 },
    { "CPUID by #VC and the MSR", code_snp_cost_cpuid, code_plain_cost_cpuid, 200, 1 },
    { "CPUID by the page", code_snp_cost_ghcb_cpuid, code_plain_cost_cpuid, 200, 1 },
    { "RDMSR by the page", code_snp_cost_ghcb_msr, code_plain_cost_msr, 200, 1 },
    { "OUT by the page, to the VMM", code_snp_cost_ghcb_io, code_plain_cost_io, 200, 1 },
    { "PVALIDATE of 4 KiB", code_snp_cost_pvalidate, NULL, 200, 1 },
    { "page state by the MSR", code_snp_cost_psc_msr, NULL, 200, 1 },
    { "page state by a list of 64, a page", code_snp_cost_psc_list, NULL, 40, SNP_LIST },
};

#define ADDR(code) (GUEST_CODE + (uint64_t)((code)-__start_guest))

static int run_served(struct snp_guest *g)
{
    int r;

    do
        r = snp_run(g);
    while (r != GUEST_DONE && snp_served(g, g->v, r));
    return r;
}

/* Ticks that a piece of code takes for all turns. */
static uint32_t snp_ticks(const uint8_t *code, unsigned times)
{
    struct snp_guest g = snp_create();
    uint32_t ticks;

    snp_add_ghcb(&g, 0);
    snp_set_state(&g, ADDR(code), SNP_GHCB_PAGE(0), times, 0);
    snp_launch(&g);
    EXPECT_EQ(run_served(&g), GUEST_DONE);
    EXPECT(!snp_exceptions(&g) || snp_vector(&g) == 29);
    ticks = (uint32_t)snp_result(&g, 0);
    snp_destroy(&g);
    return ticks;
}

static uint32_t plain_ticks(const uint8_t *code)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint32_t ticks;
    int r;

    guest_prepare(v, ADDR(code), 0, PLAIN_TIMES, 0, 0);
    do
        r = guest_resume(v);
    while (r == GUEST_STEP);
    EXPECT_EQ(r, GUEST_DONE);
    ticks = (uint32_t)v->regs.rax;
    vm_destroy(vm);
    return ticks;
}

/* One message with its key, as the firmware takes it. */
static void seal(uint8_t *page, const uint8_t key[32], uint64_t seqno, uint8_t type,
                 const void *payload, uint16_t size)
{
    struct bawn_psp_msg_header h = {
        .seqno = seqno,
        .algo = AES_256_GCM,
        .header_version = 1,
        .header_size = sizeof(h),
        .type = type,
        .version = 1,
        .size = size,
    };
    uint8_t iv[BAWN_PSP_MSG_IV_SIZE] = { 0 };
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;

    ASSERT(c);
    memcpy(iv, &seqno, sizeof(seqno));
    ASSERT(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv) == 1);
    ASSERT(EVP_EncryptUpdate(c, NULL, &n, (uint8_t *)&h + BAWN_PSP_MSG_AAD,
                             sizeof(h) - BAWN_PSP_MSG_AAD) == 1);
    ASSERT(EVP_EncryptUpdate(c, page + sizeof(h), &n, payload, size) == 1);
    ASSERT(EVP_EncryptFinal_ex(c, page + sizeof(h) + n, &n) == 1);
    ASSERT(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, h.authtag) == 1);
    EVP_CIPHER_CTX_free(c);
    memcpy(page, &h, sizeof(h));
}

/* The guest hands out its key and gets all messages sealed, for it takes too long to tell how. The
 * piece of code sends the last one first; its answers take every second number. */
static uint32_t request_ticks(uint8_t type, const void *payload, uint16_t size)
{
    struct snp_guest g = snp_create();
    uint8_t *shared = g.vm->mem + SNP_GHCB_PAGE(0), key[32];
    uint64_t error, times = SNP_NR_MESSAGES;
    uint32_t ticks;

    snp_add_ghcb(&g, 0);
    ASSERT_EQ(snp_update(&g, SECRETS, NULL, 0x1000, KVM_SEV_SNP_PAGE_TYPE_SECRETS), 0);
    snp_set_state(&g, GUEST_ADDR(snp_key), SECRETS, GUEST_ADDR(snp_cost_request), SNP_GHCB_PAGE(0));
    snp_launch(&g);
    ASSERT_EQ(snp_run(&g), KVM_EXIT_IO);
    memcpy(key, g.vm->mem + GUEST_MBOX + SNP_RESULT, sizeof(key));
    for (unsigned i = 0; i < SNP_NR_MESSAGES; i++)
        seal(shared + SNP_MESSAGES + (SNP_NR_MESSAGES - 1 - i) * 0x1000, key, 2 * i + 1, type,
             payload, size);
    memcpy(g.vm->mem + GUEST_MBOX + SNP_RESULT, &times, sizeof(times));
    EXPECT_EQ(run_served(&g), GUEST_DONE);
    memcpy(&error, shared + AT_INFO2, sizeof(error));
    EXPECT_EQ(error, 0);
    EXPECT_EQ(((struct bawn_psp_msg_header *)(shared + SNP_ANSWER))->type, type + 1);
    ticks = (uint32_t)snp_result(&g, 0);
    snp_destroy(&g);
    return ticks / SNP_NR_MESSAGES;
}

static void print_row(const char *name, uint32_t snp, const uint8_t *plain)
{
    if (plain)
        printf("# %-36s %9u %9u\n", name, snp, plain_ticks(plain) / PLAIN_TIMES);
    else
        printf("# %-36s %9u %9s\n", name, snp, "-");
}

static void test_costs(void)
{
    struct bawn_psp_key_req key = { .key_sel = BAWN_PSP_KEY_ROOT_VMRK };
    struct bawn_psp_report_req report = { 0 };

    printf("# %-36s %9s %9s\n", "ticks of the time-stamp counter", "SNP", "plain");
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        print_row(rows[i].name,
                  snp_ticks(rows[i].snp, rows[i].times) / rows[i].times / rows[i].each,
                  rows[i].plain);
    }
    lab_row("derived key");
    print_row("guest request: a derived key",
              request_ticks(BAWN_PSP_MSG_KEY_REQ, &key, BAWN_PSP_KEY_REQ_V1_SIZE), NULL);
    lab_row("report");
    print_row("guest request: a report",
              request_ticks(BAWN_PSP_MSG_REPORT_REQ, &report, sizeof(report)), NULL);
}

static const struct lab_test tests[] = { { "costs", test_costs } };

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
