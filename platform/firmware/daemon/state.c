// SPDX-License-Identifier: Apache-2.0
/*
 * The secure processor and its files: keys are made once, records are read at the start and
 * written before each reply.
 */
#include "platform/firmware/daemon/daemon.h"

#include <stdio.h>
#include <time.h>

#include <openssl/crypto.h>

#define RSA_BITS 4096 /* as AMD's ARK and ASK */

/* ---- Identity ---- */

static enum bawn_status make_identity(struct psp_identity **identity, const struct store *store,
                                      const struct options *o, struct bawn_error *err)
{
    enum psp_product product = o->has_product ? o->product : PSP_MILAN;
    enum bawn_status st;

    fprintf(stderr, "bawn-platformd: making keys for %s in %s\n", psp_product_name(product),
            store->path);
    st = psp_identity_create(identity, product, RSA_BITS, time(NULL), err);
    /* The chip last: without it there is no identity, and all is made again. */
    for (unsigned i = PSP_IDENTITY_PARTS; st == BAWN_OK && i-- > 0;) {
        struct psp_blob blob;

        st = psp_identity_export(*identity, (enum psp_identity_part)i, &blob, err);
        if (st == BAWN_OK)
            st = store_write(store, psp_identity_files[i].name, blob.data, blob.len, err);
        psp_blob_free(&blob);
    }
    if (st != BAWN_OK) {
        psp_identity_destroy(*identity);
        *identity = NULL;
    }
    return st;
}

_Static_assert(PSP_CHIP == 0, "the chip is written last");

static enum bawn_status read_identity(struct psp_identity **identity, const struct store *store,
                                      struct bawn_error *err)
{
    struct psp_blob parts[PSP_IDENTITY_PARTS] = { { NULL, 0 } };
    enum bawn_status st = BAWN_OK;

    *identity = NULL;
    for (unsigned i = 0; st == BAWN_OK && i < PSP_IDENTITY_PARTS; i++)
        st = store_read(store, psp_identity_files[i].name, &parts[i], err);
    if (st == BAWN_OK && parts[PSP_CHIP].data) {
        for (unsigned i = 0; st == BAWN_OK && i < PSP_IDENTITY_PARTS; i++)
            if (!parts[i].data)
                st = bawn_fail(err, BAWN_E_FORMAT,
                               "%s/%s is missing: put it back, or remove the "
                               "directory to start with new keys",
                               store->path, psp_identity_files[i].name);
        if (st == BAWN_OK)
            st = psp_identity_import(identity, parts, err);
    }
    for (unsigned i = 0; i < PSP_IDENTITY_PARTS; i++)
        psp_blob_free(&parts[i]);
    return st;
}

static enum bawn_status get_identity(struct psp_identity **identity, const struct store *store,
                                     const struct options *o, struct bawn_error *err)
{
    enum bawn_status st = read_identity(identity, store, err);
    enum psp_product product;

    if (st != BAWN_OK)
        return st;
    if (!*identity)
        return make_identity(identity, store, o, err);
    product = psp_identity_product(*identity);
    if (!o->has_product || o->product == product)
        return BAWN_OK;
    psp_identity_destroy(*identity);
    *identity = NULL;
    return bawn_fail(err, BAWN_E_USAGE,
                     "%s holds the keys of a %s, --product says %s: give "
                     "another state directory",
                     store->path, psp_product_name(product), psp_product_name(o->product));
}

/* ---- Records ---- */

struct restoring {
    struct psp *psp;
    const struct store *store;
};

static enum bawn_status restore_one(void *arg, const char *name, struct bawn_error *err)
{
    const struct restoring *r = arg;
    struct psp_blob blob;
    enum bawn_status st = store_read(r->store, name, &blob, err);

    if (st == BAWN_OK && blob.data)
        st = psp_restore(r->psp, name, blob.data, blob.len, err);
    psp_blob_free(&blob);
    return st;
}

enum bawn_status state_load(struct psp **psp, const struct store *store, const struct options *o,
                            struct bawn_error *err)
{
    struct bawn_psp_cpuid_function offer[HOST_CPUID_MAX];
    struct psp_config config = {
        .report_version = o->report_version,
        .faults = o->faults,
        .smt_disabled = o->no_smt,
        .offer = offer,
        .nr_offer = host_cpuid(offer),
    };
    struct restoring r = { .store = store };
    struct psp_identity *identity;
    enum bawn_status st = get_identity(&identity, store, o, err);

    *psp = NULL;
    if (st == BAWN_OK)
        st = psp_create(psp, identity, &config, err);
    if (st != BAWN_OK)
        return st;
    r.psp = *psp;
    st = restore_one(&r, "platform", err);
    if (st == BAWN_OK)
        st = store_list(store, "guest-", restore_one, &r, err);
    return st;
}

enum bawn_status state_save(struct psp *psp, const struct store *store, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    struct psp_record record;

    while (st == BAWN_OK && psp_unsaved(psp, &record))
        st = record.len ? store_write(store, record.name, record.data, record.len, err)
                        : store_wipe(store, record.name, err);
    OPENSSL_cleanse(&record, sizeof(record));
    return st;
}

enum bawn_status state_endorse(struct psp *psp, const struct store *store, struct bawn_error *err)
{
    struct psp_blob out[PSP_ENDORSEMENTS];
    enum bawn_status st = psp_endorse(psp, time(NULL), out, err);

    if (st != BAWN_OK)
        return st;
    for (unsigned i = 0; i < PSP_ENDORSEMENTS; i++) {
        if (st == BAWN_OK)
            st = store_write(store, psp_endorsement_files[i].name, out[i].data, out[i].len, err);
        psp_blob_free(&out[i]);
    }
    return st;
}
