// SPDX-License-Identifier: Apache-2.0
/*
 * Input, by its first byte: a request as the kernel module would write it, byte for byte; or a
 * list of commands, whose messages are put together here so that their form is right; or a guest
 * message, which is encrypted here so that what lies behind the tag is reached.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include <bawn/cursor.h>

#include "platform/firmware/psp.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { GCTX = 1, REQUEST, RESPONSE, ANY, PAGES };

static struct psp *psp;
static uint8_t memory[PAGES][BAWN_PSP_PAGE_SIZE];
static uint8_t *message, *reply;

static uint64_t address(unsigned n)
{
    return (uint64_t)n << 12;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* ---- Messages ---- */

static size_t put_page(size_t at, uint64_t paddr, uint32_t flags, unsigned i)
{
    struct bawn_platform_page record = { .paddr = (paddr & ~0xfffull) + address(i),
                                         .flags = flags };

    memcpy(message + at, &record, sizeof(record));
    at += sizeof(record);
    if (!(flags & BAWN_PLATFORM_PAGE_IN))
        return at;
    memcpy(message + at, memory[(record.paddr >> 12) % PAGES], BAWN_PSP_PAGE_SIZE);
    return at + BAWN_PSP_PAGE_SIZE;
}

static size_t put_pages(size_t at, const struct bawn_platform_command *c, const uint8_t *buffer,
                        size_t len, uint32_t *count)
{
    uint32_t launch = 0;

    if (c->command == BAWN_PSP_SNP_LAUNCH_UPDATE && len >= 12)
        memcpy(&launch, buffer + 8, sizeof(launch));
    for (unsigned i = 0; i < BAWN_PLATFORM_FIELDS_MAX && c->field[i].flags; i++) {
        uint64_t paddr;
        uint32_t flags, n;

        if (c->field[i].offset + sizeof(paddr) > len)
            continue;
        memcpy(&paddr, buffer + c->field[i].offset, sizeof(paddr));
        n = bawn_platform_page_use(&c->field[i], paddr, launch, &flags);
        for (uint32_t k = 0; k < n; k++)
            at = put_page(at, paddr, flags, k);
        *count += n;
    }
    return at;
}

/* The status, or that there was no reply. */
static uint32_t send_command(uint32_t command, const uint8_t *buffer, size_t len)
{
    struct bawn_platform_header h = { .version = BAWN_PLATFORM_VERSION,
                                      .command = command,
                                      .buffer_len = (uint32_t)len };
    size_t at = sizeof(h) + ((len + 7) & ~(size_t)7), n;
    struct bawn_error err;

    memset(message, 0, at);
    if (len)
        memcpy(message + sizeof(h), buffer, len);
    for (size_t i = 0; i < BAWN_PLATFORM_COMMANDS; i++)
        if (bawn_platform_commands[i].command == command)
            at = put_pages(at, &bawn_platform_commands[i], buffer, len, &h.nr_pages);
    h.size = (uint32_t)at;
    memcpy(message, &h, sizeof(h));
    must(psp_serve(psp, message, at, reply, &n, &err) == PSP_REPLY);
    memcpy(&h, reply, sizeof(h));
    must(h.size == n && n <= BAWN_PLATFORM_MESSAGE_MAX);
    return h.status;
}

static void save_all(void)
{
    struct psp_record record;

    while (psp_unsaved(psp, &record))
        must(record.len <= PSP_RECORD_MAX);
}

/* ---- A guest whose first VMPCK is known ---- */

static uint8_t key[BAWN_PSP_VMPCK_SIZE];

static void reset(void)
{
    const struct bawn_platform_hello hello = {
        .version = 1, .flags = 1, .nr_asids = 9, .c_bit = 47
    };

    must(!send_command(BAWN_PLATFORM_HELLO, (const uint8_t *)&hello, sizeof(hello)));
    must(!send_command(BAWN_PSP_SNP_INIT, NULL, 0));
    save_all();
}

static void launch(void)
{
    const struct bawn_psp_addr gctx = { address(GCTX) };
    const struct bawn_psp_launch_start start = { .gctx_paddr = address(GCTX), .policy = 0x30000 };
    const struct bawn_psp_activate activate = { address(GCTX), 1 };
    const struct bawn_psp_launch_update update = {
        .gctx_paddr = address(GCTX),
        .page = BAWN_PSP_PAGE_SECRETS << BAWN_PSP_PAGE_TYPE_SHIFT,
        .page_paddr = address(ANY),
    };
    const struct bawn_psp_launch_finish finish = { .gctx_paddr = address(GCTX) };
    struct bawn_psp_secrets secrets;

    must(!send_command(BAWN_PSP_SNP_GCTX_CREATE, (const uint8_t *)&gctx, sizeof(gctx)));
    must(!send_command(BAWN_PSP_SNP_LAUNCH_START, (const uint8_t *)&start, sizeof(start)));
    must(!send_command(BAWN_PSP_SNP_ACTIVATE, (const uint8_t *)&activate, sizeof(activate)));
    must(!send_command(BAWN_PSP_SNP_LAUNCH_UPDATE, (const uint8_t *)&update, sizeof(update)));
    memcpy(&secrets,
           reply + sizeof(struct bawn_platform_header) + sizeof(update) +
               sizeof(struct bawn_platform_page),
           sizeof(secrets));
    memcpy(key, secrets.vmpck[0], sizeof(key));
    must(!send_command(BAWN_PSP_SNP_LAUNCH_FINISH, (const uint8_t *)&finish, sizeof(finish)));
}

static void seal(struct bawn_psp_msg_header *h, const uint8_t *payload)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t iv[12] = { 0 };
    int n;

    memcpy(iv, &h->seqno, sizeof(h->seqno));
    must(ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv) == 1);
    must(EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)h + BAWN_PSP_MSG_AAD, 0x30) == 1);
    must(EVP_EncryptUpdate(ctx, memory[REQUEST] + sizeof(*h), &n, payload, h->size) == 1);
    must(EVP_EncryptFinal_ex(ctx, memory[REQUEST] + sizeof(*h) + n, &n) == 1);
    must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, h->authtag) == 1);
    memcpy(memory[REQUEST], h, sizeof(*h));
    EVP_CIPHER_CTX_free(ctx);
}

/* ---- The three kinds of input ---- */

static void raw(struct bawn_cursor *c)
{
    struct bawn_error err;
    size_t n;

    psp_serve(psp, c->pos, bawn_cursor_left(c), reply, &n, &err);
}

/* Command, length, buffer, repeatedly; half of the commands concern the guest. The last page of
 * the memory is the input itself. */
static void commands(struct bawn_cursor *c)
{
    size_t left = bawn_cursor_left(c);

    memset(memory[ANY], 0, sizeof(memory[ANY]));
    if (left)
        memcpy(memory[ANY], c->pos, left < sizeof(memory[ANY]) ? left : sizeof(memory[ANY]));
    for (unsigned i = 0; i < 16 && bawn_cursor_left(c); i++) {
        uint8_t command = bawn_cursor_u8(c), len = bawn_cursor_u8(c);
        uint8_t buffer[256] = { 0 };
        const uint64_t gctx = address(GCTX);
        const uint8_t *p;

        if (len > bawn_cursor_left(c))
            len = (uint8_t)bawn_cursor_left(c);
        p = bawn_cursor_take(c, len);
        if (p && len)
            memcpy(buffer, p, len);
        if (command & 0x20 && len >= sizeof(gctx))
            memcpy(buffer, &gctx, sizeof(gctx));
        send_command(command == 0xff ? BAWN_PLATFORM_HELLO : command, buffer, len);
    }
}

static void guest_message(struct bawn_cursor *c)
{
    const struct bawn_psp_guest_request in = { address(GCTX), address(REQUEST), address(RESPONSE) };
    struct bawn_psp_msg_header h = { .seqno = 1,
                                     .algo = BAWN_PSP_MSG_ALGO_AES256_GCM,
                                     .header_version = BAWN_PSP_MSG_HEADER_VERSION,
                                     .header_size = sizeof(h) };
    size_t left;

    h.type = bawn_cursor_u8(c);
    h.version = bawn_cursor_u8(c);
    left = bawn_cursor_left(c);
    if (left > BAWN_PSP_MSG_MAX)
        left = BAWN_PSP_MSG_MAX;
    h.size = (uint16_t)left;
    seal(&h, c->pos);
    send_command(BAWN_PSP_SNP_GUEST_REQUEST, (const uint8_t *)&in, sizeof(in));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct bawn_psp_cpuid_function offer[] = { { .eax_in = 1 }, { .eax_in = 7 } };
    const struct psp_config config = { .offer = offer, .nr_offer = 2 };
    struct psp_identity *identity;
    struct bawn_error err;

    (void)argc, (void)argv;
    message = malloc(BAWN_PLATFORM_MESSAGE_MAX);
    reply = malloc(BAWN_PLATFORM_MESSAGE_MAX);
    must(message && reply);
    must(psp_identity_create(&identity, PSP_MILAN, 2048, 1748736000, &err) == BAWN_OK);
    must(psp_create(&psp, identity, &config, &err) == BAWN_OK);
    reset();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_cursor c = bawn_cursor_over(data, size);
    uint8_t kind = bawn_cursor_u8(&c) % 3;

    if (!size)
        return 0;
    if (kind != 1 || size % 2)
        launch();
    if (kind == 0)
        raw(&c);
    else if (kind == 1)
        commands(&c);
    else
        guest_message(&c);
    save_all();
    /* Behind it: what it left is no matter of the next. */
    reset();
    return 0;
}
