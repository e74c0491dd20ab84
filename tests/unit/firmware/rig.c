// SPDX-License-Identifier: Apache-2.0
/* What stands around the secure processor; see the header. */
#include "tests/unit/firmware/rig.h"

#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>

#include <bawn/cursor.h>

/* ---- The kernel module ---- */

/* Made once, then read back from what it exports. */
struct psp_identity *rig_identity(enum psp_product product)
{
    static struct psp_blob parts[PSP_PRODUCTS][PSP_IDENTITY_PARTS];
    struct bawn_error err = { "" };
    struct psp_identity *identity;
    enum bawn_status st = BAWN_OK;

    if (!parts[product][0].data) {
        st = psp_identity_create(&identity, product, 2048, NOW, &err);
        for (unsigned i = 0; st == BAWN_OK && i < PSP_IDENTITY_PARTS; i++)
            st = psp_identity_export(identity, (enum psp_identity_part)i, &parts[product][i], &err);
        psp_identity_destroy(identity);
    }
    if (st == BAWN_OK)
        st = psp_identity_import(&identity, parts[product], &err);
    if (st != BAWN_OK)
        fail_msg("%s", err.msg);
    return identity;
}

static void start(struct rig *rig)
{
    *rig = (struct rig){ .fd = -1, .host_data = { 0x42 } };
    rig->memory = calloc(RIG_PAGES, sizeof(*rig->memory));
    rig->request = malloc(BAWN_PLATFORM_MESSAGE_MAX);
    rig->reply = malloc(BAWN_PLATFORM_MESSAGE_MAX);
    assert_true(rig->memory && rig->request && rig->reply);
}

static void forget(struct rig *rig, const struct psp_record *record)
{
    (void)rig, (void)record;
}

void rig_create(struct rig *rig, enum psp_product product, const struct psp_config *config)
{
    static const struct psp_config plain;
    struct bawn_error err = { "" };

    start(rig);
    rig->save = forget;
    if (psp_create(&rig->psp, rig_identity(product), config ? config : &plain, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
}

void rig_connect(struct rig *rig, int fd)
{
    start(rig);
    rig->fd = fd;
}

void rig_destroy(struct rig *rig)
{
    psp_destroy(rig->psp);
    if (rig->fd >= 0)
        close(rig->fd);
    free(rig->memory);
    free(rig->request);
    free(rig->reply);
}

uint64_t page(unsigned n)
{
    assert_true(n < RIG_PAGES);
    return RIG_BASE + ((uint64_t)n << 12);
}

uint8_t *bytes(struct rig *rig, unsigned n)
{
    assert_true(n < RIG_PAGES);
    return rig->memory[n];
}

static unsigned number_of(uint64_t paddr)
{
    assert_true(paddr >= RIG_BASE && paddr - RIG_BASE < (uint64_t)RIG_PAGES << 12);
    return (unsigned)((paddr - RIG_BASE) >> 12);
}

static bool is_memory(uint64_t paddr, uint32_t n)
{
    return paddr >= RIG_BASE && (paddr - RIG_BASE) >> 12 <= RIG_PAGES - n;
}

static const struct bawn_platform_command *find_command(uint32_t command)
{
    for (size_t i = 0; i < BAWN_PLATFORM_COMMANDS; i++)
        if (bawn_platform_commands[i].command == command)
            return &bawn_platform_commands[i];
    return NULL;
}

/* The records of one field. */
static size_t put_pages(struct rig *rig, size_t at, uint64_t address, uint32_t n, uint32_t flags)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t paddr = (address & ~0xfffull) + ((uint64_t)i << 12);
        unsigned k = number_of(paddr);
        struct bawn_platform_page record = { rig->gpa[k], paddr, flags, 0 };

        memcpy(rig->request + at, &record, sizeof(record));
        at += sizeof(record);
        if (flags & BAWN_PLATFORM_PAGE_IN) {
            memcpy(rig->request + at, rig->memory[k], BAWN_PSP_PAGE_SIZE);
            at += BAWN_PSP_PAGE_SIZE;
        }
    }
    return at;
}

size_t rig_message(struct rig *rig, uint32_t command, const void *buffer, size_t len)
{
    const struct bawn_platform_command *c = find_command(command);
    struct bawn_platform_header h = {
        .version = BAWN_PLATFORM_VERSION,
        .id = ++rig->id,
        .command = command,
        .buffer_len = (uint32_t)len,
    };
    size_t at = sizeof(h) + ((len + 7) & ~(size_t)7);
    uint32_t launch_page = 0;

    memset(rig->request, 0, at);
    if (len)
        memcpy(rig->request + sizeof(h), buffer, len);
    if (command == BAWN_PSP_SNP_LAUNCH_UPDATE &&
        len >= offsetof(struct bawn_psp_launch_update, page) + sizeof(launch_page))
        memcpy(&launch_page,
               (const uint8_t *)buffer + offsetof(struct bawn_psp_launch_update, page),
               sizeof(launch_page));
    for (unsigned i = 0; c && i < BAWN_PLATFORM_FIELDS_MAX && c->field[i].flags; i++) {
        uint64_t address;
        uint32_t flags, n;

        if (c->field[i].offset + sizeof(address) > len)
            continue;
        memcpy(&address, (const uint8_t *)buffer + c->field[i].offset, sizeof(address));
        n = bawn_platform_page_use(&c->field[i], address, launch_page, &flags);
        if (!n || !is_memory(address, n)) /* the module would refuse it by itself */
            continue;
        at = put_pages(rig, at, address, n, flags);
        h.nr_pages += n;
    }
    h.size = (uint32_t)at;
    memcpy(rig->request, &h, sizeof(h));
    return at;
}

/* What came back changes memory only as the request allowed. */
static void take_reply(struct rig *rig, const struct bawn_platform_header *asked,
                       struct bawn_platform_header *h)
{
    struct bawn_cursor c = bawn_cursor_over(rig->reply, rig->reply_len);

    memcpy(h, bawn_cursor_take(&c, sizeof(*h)), sizeof(*h));
    assert_int_equal(h->size, rig->reply_len);
    assert_int_equal(h->size % 8, 0);
    assert_int_equal(h->version, BAWN_PLATFORM_VERSION);
    assert_int_equal(h->id, asked->id);
    assert_int_equal(h->command, asked->command);
    if (asked->command != BAWN_PLATFORM_HELLO)
        assert_int_equal(h->buffer_len, asked->buffer_len);
    assert_non_null(bawn_cursor_take(&c, (h->buffer_len + 7) & ~7u));
    rig->pages_changed = h->nr_pages;
    for (uint32_t i = 0; i < h->nr_pages; i++) {
        struct bawn_platform_page record;
        const uint8_t *p = bawn_cursor_take(&c, sizeof(record)), *data;

        assert_non_null(p);
        memcpy(&record, p, sizeof(record));
        assert_int_equal(record.flags, BAWN_PLATFORM_PAGE_OUT);
        data = bawn_cursor_take(&c, BAWN_PSP_PAGE_SIZE);
        assert_non_null(data);
        memcpy(rig->memory[number_of(record.paddr)], data, BAWN_PSP_PAGE_SIZE);
    }
    assert_int_equal(bawn_cursor_left(&c), 0);
}

static void exchange(struct rig *rig, size_t len)
{
    struct bawn_error err = { "" };
    struct psp_record record;
    ssize_t n;

    if (rig->psp) {
        if (psp_serve(rig->psp, rig->request, len, rig->reply, &rig->reply_len, &err) != PSP_REPLY)
            fail_msg("no reply: %s", err.msg);
        while (rig->save && psp_unsaved(rig->psp, &record))
            rig->save(rig, &record);
        return;
    }
    assert_int_equal(send(rig->fd, rig->request, len, MSG_NOSIGNAL), len);
    n = recv(rig->fd, rig->reply, BAWN_PLATFORM_MESSAGE_MAX, 0);
    if (n <= 0)
        fail_msg("no reply from the daemon");
    rig->reply_len = (size_t)n;
}

uint32_t rig_send(struct rig *rig, size_t len)
{
    struct bawn_platform_header asked, h;

    memcpy(&asked, rig->request, sizeof(asked));
    exchange(rig, len);
    take_reply(rig, &asked, &h);
    return h.status;
}

uint32_t rig_command(struct rig *rig, uint32_t command, const void *buffer, size_t len)
{
    return rig_send(rig, rig_message(rig, command, buffer, len));
}

uint32_t rig_hello(struct rig *rig, uint32_t flags, const uint64_t *contexts, uint32_t n)
{
    uint8_t buffer[BAWN_PLATFORM_BUFFER_MAX];
    struct bawn_platform_hello hello = {
        .version = BAWN_PLATFORM_VERSION,
        .flags = flags,
        .nr_asids = 16,
        .c_bit = 47,
        .nr_contexts = n,
    };

    assert_true(n <= BAWN_PLATFORM_CONTEXTS_MAX);
    memcpy(buffer, &hello, sizeof(hello));
    if (n)
        memcpy(buffer + sizeof(hello), contexts, n * sizeof(*contexts));
    return rig_command(rig, BAWN_PLATFORM_HELLO, buffer, sizeof(hello) + n * sizeof(*contexts));
}

/* ---- A launch ---- */

void rig_init(struct rig *rig)
{
    const struct bawn_psp_init_ex init = { .flags = BAWN_PSP_INIT_EX_INIT_RMP };

    assert_int_equal(rig_hello(rig, BAWN_PLATFORM_HELLO_RESET, NULL, 0), BAWN_PSP_SUCCESS);
    assert_int_equal(rig_command(rig, BAWN_PSP_SNP_INIT_EX, &init, sizeof(init)), BAWN_PSP_SUCCESS);
}

uint32_t gctx_create(struct rig *rig, unsigned gctx)
{
    const struct bawn_psp_addr in = { page(gctx) };

    return rig_command(rig, BAWN_PSP_SNP_GCTX_CREATE, &in, sizeof(in));
}

uint32_t launch_start(struct rig *rig, unsigned gctx, uint64_t policy)
{
    const struct bawn_psp_launch_start in = {
        .gctx_paddr = page(gctx),
        .policy = policy,
        .gosvw = { 1, 2, 3 },
    };

    return rig_command(rig, BAWN_PSP_SNP_LAUNCH_START, &in, sizeof(in));
}

uint32_t activate(struct rig *rig, unsigned gctx, uint32_t asid)
{
    const struct bawn_psp_activate in = { page(gctx), asid };

    return rig_command(rig, BAWN_PSP_SNP_ACTIVATE, &in, sizeof(in));
}

uint32_t launch_update(struct rig *rig, unsigned gctx, uint32_t type, unsigned n, uint64_t gpa)
{
    const struct bawn_psp_launch_update in = {
        .gctx_paddr = page(gctx),
        .page = type << BAWN_PSP_PAGE_TYPE_SHIFT,
        .page_paddr = page(n),
    };

    rig->gpa[n] = gpa;
    return rig_command(rig, BAWN_PSP_SNP_LAUNCH_UPDATE, &in, sizeof(in));
}

uint32_t launch_finish(struct rig *rig, unsigned gctx)
{
    struct bawn_psp_launch_finish in = { .gctx_paddr = page(gctx) };

    memcpy(in.host_data, rig->host_data, sizeof(in.host_data));
    return rig_command(rig, BAWN_PSP_SNP_LAUNCH_FINISH, &in, sizeof(in));
}

uint32_t decommission(struct rig *rig, unsigned gctx)
{
    const struct bawn_psp_addr in = { page(gctx) };

    return rig_command(rig, BAWN_PSP_SNP_DECOMMISSION, &in, sizeof(in));
}

uint32_t guest_state(struct rig *rig, unsigned gctx)
{
    const struct bawn_psp_guest_status_cmd in = { page(gctx), page(STATUS) };
    struct bawn_psp_guest_status status;

    if (rig_command(rig, BAWN_PSP_SNP_GUEST_STATUS, &in, sizeof(in)) != BAWN_PSP_SUCCESS)
        return UINT32_MAX;
    memcpy(&status, bytes(rig, STATUS), sizeof(status));
    return status.state;
}

uint32_t guest_count(struct rig *rig)
{
    const struct bawn_psp_addr in = { page(STATUS) };
    struct bawn_psp_platform_status status;

    assert_int_equal(rig_command(rig, BAWN_PSP_SNP_PLATFORM_STATUS, &in, sizeof(in)),
                     BAWN_PSP_SUCCESS);
    memcpy(&status, bytes(rig, STATUS), sizeof(status));
    return status.guest_count;
}

void rig_launch(struct rig *rig, unsigned gctx, uint32_t asid)
{
    memset(bytes(rig, SCRATCH), 0xcc, BAWN_PSP_PAGE_SIZE);
    assert_int_equal(gctx_create(rig, gctx), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_start(rig, gctx, POLICY), BAWN_PSP_SUCCESS);
    assert_int_equal(activate(rig, gctx, asid), BAWN_PSP_SUCCESS);
    assert_int_equal(launch_update(rig, gctx, BAWN_PSP_PAGE_NORMAL, SCRATCH, 0x10000),
                     BAWN_PSP_SUCCESS);
    assert_int_equal(launch_update(rig, gctx, BAWN_PSP_PAGE_SECRETS, SECRETS, 0x21000),
                     BAWN_PSP_SUCCESS);
    assert_int_equal(launch_update(rig, gctx, BAWN_PSP_PAGE_VMSA, SCRATCH, BAWN_PSP_VMSA_GPA),
                     BAWN_PSP_SUCCESS);
    assert_int_equal(launch_finish(rig, gctx), BAWN_PSP_SUCCESS);
}

/* ---- The guest's driver ---- */

void driver_create(struct driver *d, struct rig *rig, unsigned gctx, uint8_t vmpck)
{
    struct bawn_psp_secrets secrets;

    memcpy(&secrets, bytes(rig, SECRETS), sizeof(secrets));
    *d = (struct driver){ .rig = rig, .gctx = gctx, .vmpck = vmpck };
    memcpy(d->key, secrets.vmpck[vmpck], sizeof(d->key));
}

/* EVP's one-shot style, apart from the model's own way. False: the tag does not fit. */
static bool gcm(bool seal, const uint8_t *key, struct bawn_psp_msg_header *h, const uint8_t *in,
                uint8_t *out)
{
    const uint8_t *aad = (const uint8_t *)h + 0x30;
    uint8_t iv[12] = { 0 };
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    bool ok;

    memcpy(iv, &h->seqno, 8);
    assert_non_null(ctx);
    if (seal) {
        assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv), 1);
        assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, aad, 0x30), 1);
        assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, in, h->size), 1);
        assert_int_equal(EVP_EncryptFinal_ex(ctx, out + n, &n), 1);
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, h->authtag) == 1;
    } else {
        assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv), 1);
        assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &n, aad, 0x30), 1);
        assert_int_equal(EVP_DecryptUpdate(ctx, out, &n, in, h->size), 1);
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, h->authtag), 1);
        ok = EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;
    }
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

void driver_seal_as(struct driver *d, struct bawn_psp_msg_header *h, const void *payload)
{
    uint8_t *out = bytes(d->rig, REQUEST), clear[BAWN_PSP_PAGE_SIZE * 16] = { 0 };
    uint8_t sealed[sizeof(clear)];

    if (payload)
        memcpy(clear, payload, h->size);
    assert_true(gcm(true, d->key, h, clear, sealed));
    memset(out, 0, BAWN_PSP_PAGE_SIZE);
    memcpy(out, h, sizeof(*h));
    memcpy(out + sizeof(*h), sealed, h->size < BAWN_PSP_MSG_MAX ? h->size : BAWN_PSP_MSG_MAX);
}

static struct bawn_psp_msg_header header(const struct driver *d, uint8_t type, uint8_t version,
                                         size_t len)
{
    return (struct bawn_psp_msg_header){
        .seqno = d->seqno + 1,
        .algo = 1,
        .header_version = 1,
        .header_size = 0x60,
        .type = type,
        .version = version,
        .size = (uint16_t)len,
        .vmpck = d->vmpck,
    };
}

void driver_seal(struct driver *d, uint8_t type, uint8_t version, const void *payload, size_t len)
{
    struct bawn_psp_msg_header h = header(d, type, version, len);

    driver_seal_as(d, &h, payload);
}

uint32_t driver_send(struct driver *d)
{
    const struct bawn_psp_guest_request in = { page(d->gctx), page(REQUEST), page(RESPONSE) };

    memset(bytes(d->rig, RESPONSE), 0xee, BAWN_PSP_PAGE_SIZE);
    return rig_command(d->rig, BAWN_PSP_SNP_GUEST_REQUEST, &in, sizeof(in));
}

size_t driver_open(struct driver *d, uint8_t type, uint8_t version, uint8_t *payload)
{
    const uint8_t *in = bytes(d->rig, RESPONSE);
    struct bawn_psp_msg_header h;

    memcpy(&h, in, sizeof(h));
    assert_int_equal(h.seqno, d->seqno + 2);
    assert_int_equal(h.algo, 1);
    assert_int_equal(h.header_version, 1);
    assert_int_equal(h.header_size, 0x60);
    assert_int_equal(h.type, type + 1);
    assert_int_equal(h.version, version);
    assert_int_equal(h.vmpck, d->vmpck);
    assert_true(h.size <= BAWN_PSP_MSG_MAX);
    assert_true(gcm(false, d->key, &h, in + sizeof(h), payload));
    d->seqno += 2;
    return h.size;
}

size_t driver_ask(struct driver *d, uint8_t type, uint8_t version, const void *payload, size_t len,
                  uint8_t *response)
{
    driver_seal(d, type, version, payload, len);
    assert_int_equal(driver_send(d), BAWN_PSP_SUCCESS);
    return driver_open(d, type, version, response);
}

uint32_t driver_report(struct driver *d, uint32_t vmpl, struct bawn_snp_report *report)
{
    struct bawn_psp_report_req in = { .report_data = "report data", .vmpl = vmpl };
    uint8_t out[BAWN_PSP_MSG_MAX];
    struct bawn_psp_report_rsp rsp;
    size_t len = driver_ask(d, BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in), out);

    assert_true(len >= sizeof(rsp));
    memcpy(&rsp, out, sizeof(rsp));
    if (rsp.status != BAWN_PSP_SUCCESS) {
        assert_int_equal(len, sizeof(rsp));
        assert_int_equal(rsp.report_size, 0);
        return rsp.status;
    }
    assert_int_equal(rsp.report_size, sizeof(*report));
    assert_int_equal(len, sizeof(rsp) + sizeof(*report));
    memcpy(report, out + sizeof(rsp), sizeof(*report));
    return rsp.status;
}
