// SPDX-License-Identifier: Apache-2.0
/*
 * The secure processor: platform/firmware's model as a library, with an identity of its own for the
 * process. Userspace code, under no header of the simulated kernel, and without MSan, which libcrypto
 * does not know either: what leaves it counts as initialised. Trusts snp.c with pages.
 */
#include <stdio.h>
#include <stdlib.h>

#include "platform/firmware/psp.h"

#include "hw.h"
#include "sanitizer.h"
#include "snp.h"

#define NOW 1748736000 /* 2025-06-01 */
#define RSA_BITS 2048  /* short enough to be made in a moment */

static struct psp *psp;
static struct psp_blob root;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "sim: firmware: %s\n", what);
    exit(1);
}

void *sim_host_zalloc(size_t n)
{
    void *p = calloc(1, n);

    must(p, "no memory");
    return p;
}

void sim_firmware_start(void)
{
    static const struct psp_config config;
    struct psp_identity *identity;
    struct bawn_error err = { "" };

    if (psp)
        return;
    sim_unseen_begin();
    must(psp_identity_create(&identity, PSP_MILAN, RSA_BITS, NOW, &err) == BAWN_OK, err.msg);
    must(psp_identity_export(identity, PSP_ARK, &root, &err) == BAWN_OK, err.msg);
    must(psp_create(&psp, identity, &config, &err) == BAWN_OK, err.msg);
    sim_unseen_end();
    sim_initialised(root.data, root.len);
}

static void save_nothing(void)
{
    struct psp_record record;

    while (psp_unsaved(psp, &record))
        ;
}

/* As when the machine is reset: the host's driver initialises it again before it is used. */
void sim_firmware_reset(unsigned asids, unsigned cbit)
{
    static uint8_t reply[sizeof(struct bawn_platform_header) + BAWN_PLATFORM_BUFFER_MAX];
    struct {
        struct bawn_platform_header header;
        struct bawn_platform_hello hello;
    } m = {
        .header = { .size = sizeof(m),
                    .version = BAWN_PLATFORM_VERSION,
                    .command = BAWN_PLATFORM_HELLO,
                    .buffer_len = sizeof(m.hello) },
        .hello = { .version = BAWN_PLATFORM_VERSION,
                   .flags = BAWN_PLATFORM_HELLO_RESET,
                   .nr_asids = asids,
                   .c_bit = cbit },
    };
    struct bawn_error err = { "" };
    size_t n;

    sim_unseen_begin();
    must(psp_serve(psp, (const uint8_t *)&m, sizeof(m), reply, &n, &err) == PSP_REPLY, err.msg);
    save_nothing();
    sim_unseen_end();
}

/* The model has its own copies of pages, as it has over messages. */
uint32_t sim_firmware_command(uint32_t command, void *buffer, size_t len,
                              const struct sim_firmware_page *pages, size_t nr)
{
    static uint8_t copies[BAWN_PLATFORM_FIELDS_MAX][BAWN_PSP_PAGE_SIZE];
    struct psp_page list[BAWN_PLATFORM_FIELDS_MAX];
    struct psp_call call = {
        .command = command, .buffer = buffer, .buffer_len = len, .pages = list, .nr_pages = nr
    };
    uint32_t status;

    must(nr <= BAWN_PLATFORM_FIELDS_MAX, "too many pages");
    for (size_t i = 0; i < nr; i++) {
        list[i] = (struct psp_page){ pages[i].paddr, pages[i].gpa, pages[i].flags, NULL, NULL, 0 };
        if (pages[i].flags & BAWN_PLATFORM_PAGE_IN) {
            sim_copy_unseen(copies[i], pages[i].bytes, BAWN_PSP_PAGE_SIZE);
            list[i].in = copies[i];
        }
        if (pages[i].flags & BAWN_PLATFORM_PAGE_OUT)
            list[i].out = copies[i];
    }
    sim_unseen_begin();
    status = psp_command(psp, &call);
    sim_unseen_end();
    sim_initialised(buffer, len);
    for (size_t i = 0; i < nr; i++)
        if (list[i].changed)
            sim_copy_unseen(pages[i].bytes, copies[i], BAWN_PSP_PAGE_SIZE);
    sim_unseen_begin();
    save_nothing();
    sim_unseen_end();
    return status;
}

bool sim_endorsements(int64_t now, struct psp_blob *out, const struct psp_blob **ark)
{
    struct bawn_error err = { "" };
    bool done;

    *ark = &root;
    sim_unseen_begin();
    done = psp_endorse(psp, now, out, &err) == BAWN_OK;
    sim_unseen_end();
    sim_initialised(ark, sizeof(void *));
    sim_initialised(out, sizeof(*out));
    sim_initialised(out->data, out->len);
    return done;
}
