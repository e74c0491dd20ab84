// SPDX-License-Identifier: Apache-2.0
/*
 * The protocol of the kernel module (include/bawn/platform.h): requests taken apart, replies put
 * together. The module is trusted to be the module; its messages are read as if it were not.
 */
#include "platform/firmware/parts.h"

#include <stdlib.h>

#define ALIGN8(n) (((n) + 7) & ~(size_t)7)

/* A request whose form is right. */
struct message {
    struct bawn_platform_header header;
    const uint8_t *buffer;
    struct psp_page pages[BAWN_PLATFORM_PAGES_MAX];
};

/* ---- HELLO ---- */

static bool still_exists(const struct guest *guest, struct bawn_cursor contexts, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (bawn_cursor_u64(&contexts) == guest->gctx)
            return true;
    return false;
}

uint32_t psp_hello(struct psp *psp, const uint8_t *buffer, size_t len,
                   struct bawn_platform_welcome *welcome)
{
    struct bawn_cursor c = bawn_cursor_over(buffer, len);
    const uint8_t *p = bawn_cursor_take(&c, sizeof(struct bawn_platform_hello));
    struct bawn_platform_hello in;

    memset(welcome, 0, sizeof(*welcome));
    welcome->version = BAWN_PLATFORM_VERSION;
    if (!p)
        return BAWN_PSP_INVALID_LENGTH;
    memcpy(&in, p, sizeof(in));
    if (in.version != BAWN_PLATFORM_VERSION)
        return BAWN_PSP_UNSUPPORTED;
    if (bawn_cursor_left(&c) != in.nr_contexts * sizeof(uint64_t))
        return BAWN_PSP_INVALID_LENGTH;
    if ((in.flags & ~BAWN_PLATFORM_HELLO_RESET) || in.reserved || !in.nr_asids ||
        in.nr_asids > PSP_ASIDS_MAX || in.c_bit > 63)
        return BAWN_PSP_INVALID_PARAM;
    for (size_t i = 0; i < psp->nr_guests; i++)
        if (psp->guests[i]->save != PSP_REMOVE &&
            ((in.flags & BAWN_PLATFORM_HELLO_RESET) ||
             !still_exists(psp->guests[i], c, in.nr_contexts)))
            psp_guest_forget(psp, psp->guests[i]);
    if (in.flags & BAWN_PLATFORM_HELLO_RESET) {
        psp->state = BAWN_PSP_PLATFORM_UNINIT;
        memset(psp->unflushed, 0, sizeof(psp->unflushed));
    }
    psp->nr_asids = in.nr_asids;
    psp->c_bit = in.c_bit;
    psp->save = PSP_SAVE;
    welcome->fms = psp->model->fms;
    welcome->report_version = psp->report_version;
    welcome->nr_contexts = (uint32_t)psp_guest_count(psp);
    strncpy(welcome->product, psp->model->name, sizeof(welcome->product) - 1);
    return BAWN_PSP_SUCCESS;
}

/* ---- Requests ---- */

static bool read_page(struct bawn_cursor *c, struct psp_page *page)
{
    const uint32_t known = BAWN_PLATFORM_PAGE_IN | BAWN_PLATFORM_PAGE_OUT;

    *page = (struct psp_page){ .gpa = bawn_cursor_u64(c) };
    page->paddr = bawn_cursor_u64(c);
    page->flags = bawn_cursor_u32(c);
    if (bawn_cursor_u32(c) || (page->flags & ~known) || (page->paddr & PSP_PAGE_MASK))
        return false;
    if (page->flags & BAWN_PLATFORM_PAGE_IN)
        page->in = bawn_cursor_take(c, BAWN_PSP_PAGE_SIZE);
    return !c->failed;
}

/* What is wrong with the request, or NULL. */
static const char *read_request(const uint8_t *request, size_t len, struct message *m)
{
    struct bawn_cursor c = bawn_cursor_over(request, len);
    const uint8_t *p = bawn_cursor_take(&c, sizeof(m->header));

    if (!p)
        return "it is shorter than its header";
    memcpy(&m->header, p, sizeof(m->header));
    if (m->header.version != BAWN_PLATFORM_VERSION)
        return "its version is another";
    if (m->header.size != len || len % 8)
        return "its size is another";
    if (m->header.status || m->header.buffer_len > BAWN_PLATFORM_BUFFER_MAX ||
        m->header.nr_pages > BAWN_PLATFORM_PAGES_MAX)
        return "its header is none of a request";
    m->buffer = bawn_cursor_take(&c, m->header.buffer_len);
    if (!bawn_cursor_zeros(&c, ALIGN8((size_t)m->header.buffer_len) - m->header.buffer_len))
        return "its buffer is not there";
    for (uint32_t i = 0; i < m->header.nr_pages; i++)
        if (!read_page(&c, &m->pages[i]))
            return "one of its pages is not there";
    return bawn_cursor_left(&c) ? "bytes follow its end" : NULL;
}

/* ---- Replies ---- */

/* Each page that may change gets its place in the reply; those that did not are taken out
 * again. */
static size_t place_pages(struct message *m, uint8_t *reply, size_t at)
{
    for (uint32_t i = 0; i < m->header.nr_pages; i++) {
        struct psp_page *page = &m->pages[i];

        if (!(page->flags & BAWN_PLATFORM_PAGE_OUT))
            continue;
        page->out = reply + at + sizeof(struct bawn_platform_page);
        at += sizeof(struct bawn_platform_page) + BAWN_PSP_PAGE_SIZE;
    }
    return at;
}

static size_t close_pages(const struct message *m, uint8_t *reply, size_t at, uint32_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < m->header.nr_pages; i++) {
        const struct psp_page *page = &m->pages[i];
        struct bawn_platform_page record = {
            .gpa = page->gpa,
            .paddr = page->paddr,
            .flags = BAWN_PLATFORM_PAGE_OUT,
        };

        if (!page->changed)
            continue;
        memmove(reply + at + sizeof(record), page->out, BAWN_PSP_PAGE_SIZE);
        memcpy(reply + at, &record, sizeof(record));
        at += sizeof(record) + BAWN_PSP_PAGE_SIZE;
        ++*count;
    }
    return at;
}

/* The buffer of a reply is the request's: no command of these writes into its own. */
static size_t serve_command(struct psp *psp, struct message *m, uint8_t *reply,
                            struct bawn_platform_header *out)
{
    struct psp_call call = {
        .command = m->header.command,
        .buffer = m->buffer,
        .buffer_len = m->header.buffer_len,
        .pages = m->pages,
        .nr_pages = m->header.nr_pages,
    };
    size_t at = sizeof(*out);

    memset(reply + at, 0, ALIGN8((size_t)m->header.buffer_len));
    if (m->header.buffer_len)
        memcpy(reply + at, m->buffer, m->header.buffer_len);
    at += ALIGN8((size_t)m->header.buffer_len);
    place_pages(m, reply, at);
    out->status = psp_command(psp, &call);
    out->buffer_len = m->header.buffer_len;
    return close_pages(m, reply, at, &out->nr_pages);
}

static size_t serve_hello(struct psp *psp, const struct message *m, uint8_t *reply,
                          struct bawn_platform_header *out)
{
    struct bawn_platform_welcome welcome;

    out->status = m->header.nr_pages ? BAWN_PSP_INVALID_PARAM
                                     : psp_hello(psp, m->buffer, m->header.buffer_len, &welcome);
    if (m->header.nr_pages)
        memset(&welcome, 0, sizeof(welcome));
    out->buffer_len = sizeof(welcome);
    memcpy(reply + sizeof(*out), &welcome, sizeof(welcome));
    return sizeof(*out) + sizeof(welcome);
}

enum psp_served psp_serve(struct psp *psp, const uint8_t *request, size_t len, uint8_t *reply,
                          size_t *reply_len, struct bawn_error *err)
{
    struct message *m = calloc(1, sizeof(*m));
    struct bawn_platform_header out = { .version = BAWN_PLATFORM_VERSION };
    const char *wrong = m ? read_request(request, len, m) : "there is no memory for it";

    if (wrong) {
        free(m);
        bawn_fail(err, BAWN_E_FORMAT, "cannot take a request of %zu bytes: %s", len, wrong);
        return PSP_MALFORMED;
    }
    out.id = m->header.id;
    out.command = m->header.command;
    if (out.command == BAWN_PLATFORM_HELLO)
        *reply_len = serve_hello(psp, m, reply, &out);
    else
        *reply_len = serve_command(psp, m, reply, &out);
    free(m);
    out.size = (uint32_t)*reply_len;
    memcpy(reply, &out, sizeof(out));
    if ((psp->faults & PSP_FAULT_LOST_COMMAND) && out.command == BAWN_PSP_SNP_GUEST_REQUEST)
        return PSP_NO_REPLY;
    return PSP_REPLY;
}
