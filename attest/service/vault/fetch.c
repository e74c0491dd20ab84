// SPDX-License-Identifier: Apache-2.0
/*
 * What judges miss and a mirror of AMD's key server may have: a chip's VCEK, a product's CRL. Each
 * is asked for once at a time, a chip at most every 10 seconds, and after a failure later and
 * later. Guests name chips before anything is proven, so the list is short and the mirror is asked
 * for few at once.
 * What comes is believed when it is of that chip and those levels, and when its chain ends at a
 * root that is compiled in (then it is for all), or at one of the tenant whose guest it was (then
 * it is that tenant's alone).
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "attest/lib/roots.h"
#include "attest/service/vault/vault.h"

#define WANTED_MAX 1024 /* things remembered */
#define ASKED_MAX 16    /* at once */
#define CHIP_MS 10000   /* between two requests for one chip: AMD's server allows no more */
#define BACKOFF_MAX_MS 3600000
#define ANSWER_MS 60000 /* then it counts as failed */
#define VCEK_MAX 16384
#define PARTS 5

static const struct {
    const char *claim, *kds, *file;
    unsigned arc; /* of the certificate's extension: AMD 57230, VCEK certificate extensions */
} parts[PARTS] = {
    { "boot_loader", "blSPL", "bl", 1 }, { "tee", "teeSPL", "_tee", 2 },
    { "snp", "snpSPL", "_snp", 3 },      { "microcode", "ucodeSPL", "_ucode", 8 },
    { "fmc", "fmcSPL", "_fmc", 9 },
};

struct wanted {
    char tenant[80];
    char chip[160]; /* for the limit: the hwid, or "crl/<product>" */
    char path[400]; /* on the mirror */
    char name[256]; /* in the store: as KBS's store of VCEKs has it */
    char why[160];  /* the last failure, or "" */
    bool vcek;
    int spl[PARTS];        /* -1: not of this product */
    int64_t asked, next;   /* monotonic milliseconds */
    int64_t backoff, used; /* milliseconds; when it was last wanted */
    uint64_t id;           /* of the request that is out; 0: none */
    char product[16];
};

struct fetch {
    struct wanted wanted[WANTED_MAX];
    size_t n;
    uint64_t last_id;
};

/* ---- What is wanted ---- */

/* "&name=07" behind the text. */
static bool add(char *text, size_t size, const char *before, const char *name, const char *behind,
                int n)
{
    size_t len = strlen(text);
    int wrote = snprintf(text + len, size - len, "%s%s%s%02d", before, name, behind, n);

    return wrote >= 0 && (size_t)wrote < size - len;
}

/* The judge's word, with its texts checked: they become a path. */
static bool describe(struct wanted *w, const char *tenant, const json_t *missing, bool vcek)
{
    static const char suffix[] = "_vcek.der";
    static const char *const products[] = { "Milan", "Genoa", "Turin" };
    const char *product = text_of(missing, "product"), *chip = text_of(missing, "hwid");
    const json_t *tcb = json_object_get(missing, "tcb");
    size_t len = chip ? strlen(chip) : 0, k = 0;
    const char *before = "?";
    bool ok = true;

    *w = (struct wanted){ .vcek = vcek };
    snprintf(w->tenant, sizeof(w->tenant), "%s", tenant);
    while (product && k < 3 && strcmp(products[k], product) != 0)
        k++;
    if (!product || k == 3)
        return false;
    snprintf(w->product, sizeof(w->product), "%s", product);
    if (!vcek) {
        snprintf(w->chip, sizeof(w->chip), "crl/%s", product);
        snprintf(w->path, sizeof(w->path), "/vcek/v1/%s/crl", product);
        snprintf(w->name, sizeof(w->name), "crl/%s.crl", product);
        return true;
    }
    if (len != 128 || strspn(chip, "0123456789abcdef") != len || strspn(chip, "0") == len)
        return false;
    len = k == 2 ? 16 : 128; /* Turin's has 8 bytes */
    snprintf(w->chip, sizeof(w->chip), "%.*s", (int)len, chip);
    snprintf(w->path, sizeof(w->path), "/vcek/v1/%s/%s", product, w->chip);
    snprintf(w->name, sizeof(w->name), "vcek/%s/", w->chip);
    for (size_t i = 0; i < PARTS; i++) {
        const json_t *value = json_object_get(tcb, parts[i].claim);

        w->spl[i] = json_is_integer(value) ? (int)json_integer_value(value) : -1;
        if (w->spl[i] < 0 && parts[i].arc == 9)
            continue;
        if (w->spl[i] < 0 || w->spl[i] > 255)
            return false;
        ok &= add(w->path, sizeof(w->path), before, parts[i].kds, "=", w->spl[i]);
        ok &= add(w->name, sizeof(w->name), "", parts[i].file, "", w->spl[i]);
        before = "&";
    }
    if (!ok || strlen(w->name) + sizeof(suffix) > sizeof(w->name))
        return false;
    memcpy(w->name + strlen(w->name), suffix, sizeof(suffix));
    return true;
}

/* Its place; the one that was longest not wanted goes when there is no other. NULL: all are out. */
static struct wanted *place(struct fetch *f, const struct wanted *w)
{
    struct wanted *oldest = NULL;

    for (size_t i = 0; i < f->n; i++) {
        if (!strcmp(f->wanted[i].path, w->path) && !strcmp(f->wanted[i].tenant, w->tenant))
            return &f->wanted[i];
        if (!f->wanted[i].id && (!oldest || f->wanted[i].used < oldest->used))
            oldest = &f->wanted[i];
    }
    if (f->n < WANTED_MAX)
        oldest = &f->wanted[f->n++];
    if (oldest)
        *oldest = *w;
    return oldest;
}

/* Milliseconds until this may be asked for. */
static int64_t wait_of(const struct vault *v, const struct fetch *f, const struct wanted *w)
{
    int64_t next = w->next;
    unsigned out = 0;

    for (size_t i = 0; i < f->n; i++) {
        const struct wanted *o = &f->wanted[i];

        out += o->id != 0;
        if (o->asked && !strcmp(o->chip, w->chip) && o->asked + CHIP_MS > next)
            next = o->asked + CHIP_MS;
    }
    if (out >= ASKED_MAX && next < v->mono_ms + 1000)
        next = v->mono_ms + 1000;
    return next > v->mono_ms ? next - v->mono_ms : 0;
}

static void postpone(const struct vault *v, struct wanted *w, const char *why)
{
    w->id = 0;
    w->backoff = w->backoff ? 2 * w->backoff : CHIP_MS;
    if (w->backoff > BACKOFF_MAX_MS)
        w->backoff = BACKOFF_MAX_MS;
    w->next = v->mono_ms + w->backoff;
    snprintf(w->why, sizeof(w->why), "%s", why);
    journal("warning", "collateral was not fetched", "{s:s, s:s, s:I}", "path", w->path, "why", why,
            "again_in", (json_int_t)(w->backoff / 1000));
}

static void ask_for(struct vault *v, struct fetch *f, struct wanted *w)
{
    json_t *request = json_pack("{s:s}", "path", w->path);

    w->id = ++f->last_id;
    w->asked = v->mono_ms;
    if (!request || !v->fetcher ||
        ipc_send(v->fetcher, IPC_FETCH, w->id, request, (struct bawn_bytes){ 0 }, -1, NULL) !=
            BAWN_OK)
        postpone(v, w, "the process that fetches is not there");
    json_decref(request);
}

/* One that was asked for and never came. */
static void expire(struct vault *v, struct fetch *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->wanted[i].id && f->wanted[i].asked + ANSWER_MS < v->mono_ms)
            postpone(v, &f->wanted[i], "no answer came");
}

static struct wanted *want(struct vault *v, const char *tenant, const json_t *missing, bool vcek)
{
    struct wanted described, *w;
    struct fetch *f = v->fetch;

    if (!v->config->collateral.mirror || !describe(&described, tenant, missing, vcek))
        return NULL;
    if (!f)
        f = v->fetch = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    expire(v, f);
    w = place(f, &described);
    if (!w)
        return NULL;
    w->used = v->mono_ms;
    if (!w->id && !wait_of(v, f, w))
        ask_for(v, f, w);
    return w;
}

bool fetch_wanted(struct vault *v, const char *tenant, const json_t *missing, struct reply *r,
                  enum bawn_status *st)
{
    const struct wanted *w;
    int64_t seconds;

    if (json_is_true(json_object_get(missing, "crl")))
        want(v, tenant, missing, false);
    if (!json_is_true(json_object_get(missing, "vcek")))
        return false;
    w = want(v, tenant, missing, true);
    if (!w)
        return false;
    seconds = w->id ? 1 : (wait_of(v, v->fetch, w) + 999) / 1000;
    *st =
        reply_error(r, 503, "CollateralPending",
                    "the certificate (VCEK) of this chip and its reported TCB is not here yet and "
                    "is fetched: %s%s%s",
                    w->path, *w->why ? "; the last time: " : "", w->why);
    r->retry_after = seconds < 1 ? 1 : (int)seconds;
    return true;
}

void fetch_end(struct vault *v)
{
    ipc_destroy(v->fetcher);
    v->fetcher = NULL;
    free(v->fetch);
    v->fetch = NULL;
}

void fetch_lost(struct vault *v)
{
    ipc_destroy(v->fetcher);
    v->fetcher = NULL;
    for (size_t i = 0; v->fetch && i < v->fetch->n; i++)
        if (v->fetch->wanted[i].id)
            postpone(v, &v->fetch->wanted[i], "the process that fetches has ended");
}

/* ---- What came ---- */

static void add_pem(X509_STORE *store, const void *data, size_t len)
{
    BIO *bio = BIO_new_mem_buf(data, (int)len);
    X509 *cert;

    while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        if (X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0)
            X509_STORE_add_cert(store, cert);
        X509_free(cert);
    }
    BIO_free(bio);
}

/* Compiled-in intermediates; with a tenant its roots, else the compiled-in ones. */
static void add_trust(const struct vault *v, const char *tenant, X509_STORE *store,
                      STACK_OF(X509) * between)
{
    const struct config_tenant *t = tenant ? config_tenant(v->config, tenant) : NULL;

    for (size_t i = 0; i < BUILTIN_CERTS; i++) {
        const uint8_t *p = builtin_certs[i].start;
        X509 *cert = d2i_X509(NULL, &p, builtin_certs[i].end - p);

        if (cert && builtin_certs[i].root && !tenant)
            X509_STORE_add_cert(store, cert);
        if (!cert || builtin_certs[i].root || !sk_X509_push(between, cert))
            X509_free(cert);
    }
    for (size_t k = 0; t && k < t->nr_roots; k++) {
        const uint8_t *p = t->roots[k].data;
        X509 *cert = t->roots[k].len ? d2i_X509(NULL, &p, (long)t->roots[k].len) : NULL;

        if (cert)
            X509_STORE_add_cert(store, cert);
        else
            add_pem(store, t->roots[k].data, t->roots[k].len);
        X509_free(cert);
    }
}

struct between {
    STACK_OF(X509) * certs;
    const char *tenant; /* whose certificates count beside those that are for all; or NULL */
};

static bool take_between(void *context, const struct db_value *c, int n)
{
    const struct between *b = context;
    const char *name = n == 2 ? (const char *)c[0].bytes.data : "";
    const char *colon = strchr(name, ':');
    const uint8_t *p = c[1].bytes.data;
    X509 *cert;
    BIO *bio;

    if (n != 2 || !strncmp(colon ? colon + 1 : name, "vcek/", 5) ||
        (colon && (!b->tenant || strlen(b->tenant) != (size_t)(colon - name) ||
                   memcmp(b->tenant, name, (size_t)(colon - name)) != 0)))
        return true;
    cert = d2i_X509(NULL, &p, (long)c[1].bytes.len);
    if (cert) {
        if (!sk_X509_push(b->certs, cert))
            X509_free(cert);
        return true;
    }
    bio = BIO_new_mem_buf(c[1].bytes.data, (int)c[1].bytes.len);
    while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        if (!sk_X509_push(b->certs, cert))
            X509_free(cert);
    BIO_free(bio);
    return true;
}

/* Up to a root, at this time: a compiled-in one, or with a tenant one of that tenant's. */
static enum bawn_status check_chain(struct vault *v, const char *tenant, X509 *leaf,
                                    struct bawn_error *err)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    struct between between = { sk_X509_new_null(), tenant };
    enum bawn_status st = store && ctx && between.certs
                              ? db_run(v->db, "SELECT name, data FROM collateral", NULL, 0,
                                       take_between, &between, NULL, err)
                              : bawn_fail(err, BAWN_E_NOMEM, "no memory for a chain");

    if (st == BAWN_OK) {
        add_trust(v, tenant, store, between.certs);
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), vault_now(v));
        if (X509_STORE_CTX_init(ctx, store, leaf, between.certs) != 1)
            st = bawn_fail(err, BAWN_E_NOMEM, "no memory for a chain");
        else if (X509_verify_cert(ctx) != 1)
            st = bawn_fail(err, BAWN_E_DENIED, "its chain is not trusted: %s",
                           X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    sk_X509_pop_free(between.certs, X509_free);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return st;
}

/* The value of an extension below AMD's arc (AMD 57230, VCEK certificate extensions); empty: none.
 */
static struct bawn_bytes extension(const X509 *cert, const char *below)
{
    char oid[64];
    ASN1_OBJECT *object;
    const ASN1_OCTET_STRING *value = NULL;
    int at = -1;

    snprintf(oid, sizeof(oid), "1.3.6.1.4.1.3704.1.%s", below);
    object = OBJ_txt2obj(oid, 1);
    if (object)
        at = X509_get_ext_by_OBJ(cert, object, -1);
    ASN1_OBJECT_free(object);
    if (at >= 0)
        value = X509_EXTENSION_get_data(X509_get_ext(cert, at));
    return value ? (struct bawn_bytes){ ASN1_STRING_get0_data(value),
                                        (size_t)ASN1_STRING_length(value) }
                 : (struct bawn_bytes){ 0 };
}

static bool is_chip(const X509 *cert, const char *chip)
{
    struct bawn_bytes hwid = extension(cert, "4");
    char text[129];

    if (!hwid.len || hwid.len > 64)
        return false;
    for (size_t i = 0; i < hwid.len; i++)
        snprintf(text + 2 * i, 3, "%02x", hwid.data[i]);
    return !strcmp(text, chip);
}

/* An INTEGER from 0 to 255, or -1. */
static int level(const X509 *cert, unsigned arc)
{
    char below[8];
    struct bawn_bytes v;

    snprintf(below, sizeof(below), "3.%u", arc);
    v = extension(cert, below);
    if (v.len == 3 && v.data[0] == 2 && v.data[1] == 1 && v.data[2] < 128)
        return v.data[2];
    return v.len == 4 && v.data[0] == 2 && v.data[1] == 2 && !v.data[2] ? v.data[3] : -1;
}

static enum bawn_status check_vcek(struct vault *v, const struct wanted *w, const char *tenant,
                                   struct bawn_bytes data, struct bawn_error *err)
{
    const uint8_t *p = data.data;
    X509 *cert = data.len <= VCEK_MAX ? d2i_X509(NULL, &p, (long)data.len) : NULL;
    enum bawn_status st = BAWN_OK;

    if (!cert || p != data.data + data.len)
        st = bawn_fail(err, BAWN_E_FORMAT, "what the mirror gave is no certificate (DER)");
    else if (!is_chip(cert, w->chip))
        st = bawn_fail(err, BAWN_E_DENIED, "the mirror gave what is not this chip's VCEK");
    for (size_t i = 0; st == BAWN_OK && i < PARTS; i++)
        if (w->spl[i] >= 0 && level(cert, parts[i].arc) != w->spl[i])
            st = bawn_fail(err, BAWN_E_DENIED, "the mirror gave a VCEK of another TCB: %s is %d",
                           parts[i].kds, level(cert, parts[i].arc));
    if (st == BAWN_OK)
        st = check_chain(v, tenant, cert, err);
    X509_free(cert);
    return st;
}

static bool signed_by(X509_CRL *crl, X509 *cert)
{
    return X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(cert)) == 0 &&
           X509_CRL_verify(crl, X509_get0_pubkey(cert)) == 1;
}

/* Signed by a root, and in force at this time. */
static enum bawn_status check_crl(const struct vault *v, const char *tenant, struct bawn_bytes data,
                                  struct bawn_error *err)
{
    const uint8_t *p = data.data;
    X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)data.len);
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *between = sk_X509_new_null();
    STACK_OF(X509_OBJECT) * roots;
    time_t now = (time_t)vault_now(v);
    bool good = false;

    if (crl && store && between) {
        add_trust(v, tenant, store, between);
        roots = X509_STORE_get0_objects(store);
        for (int i = 0; !good && i < sk_X509_OBJECT_num(roots); i++) {
            X509 *root = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(roots, i));

            good = root && signed_by(crl, root);
        }
        good = good && X509_cmp_time(X509_CRL_get0_lastUpdate(crl), &now) < 0 &&
               X509_CRL_get0_nextUpdate(crl) &&
               X509_cmp_time(X509_CRL_get0_nextUpdate(crl), &now) > 0;
    }
    sk_X509_pop_free(between, X509_free);
    X509_STORE_free(store);
    X509_CRL_free(crl);
    return good ? BAWN_OK
                : bawn_fail(err, BAWN_E_DENIED,
                            "what the mirror gave is no CRL of a trusted root that is in force");
}

static enum bawn_status check(struct vault *v, const struct wanted *w, const char *tenant,
                              struct bawn_bytes data, struct bawn_error *err)
{
    return w->vcek ? check_vcek(v, w, tenant, data, err) : check_crl(v, tenant, data, err);
}

static enum bawn_status take(struct vault *v, const struct wanted *w, struct bawn_bytes data,
                             struct bawn_error *err)
{
    const char *tenant = NULL;
    enum bawn_status st = check(v, w, NULL, data, err);

    if (st == BAWN_E_DENIED) {
        tenant = w->tenant;
        st = check(v, w, tenant, data, err);
    }
    if (st != BAWN_OK)
        return st;
    st = db_begin(v->db, err);
    if (st != BAWN_OK)
        return st;
    st = collateral_store(v, tenant, w->name, data, err);
    if (st == BAWN_OK)
        st = state_changed(v, err);
    if (st == BAWN_OK)
        st = state_fits(v, err);
    if (st == BAWN_OK)
        st = db_commit(v->db, err);
    else
        db_rollback(v->db);
    v->changed = false;
    return st == BAWN_OK ? vault_reload(v, err) : st;
}

void fetch_take(struct vault *v, const struct ipc_msg *m)
{
    const char *error = text_of(m->json, "error");
    struct bawn_error why = { "" };
    struct wanted *w = NULL;
    enum bawn_status st;

    for (size_t i = 0; v->fetch && m->id && i < v->fetch->n; i++)
        if (v->fetch->wanted[i].id == m->id)
            w = &v->fetch->wanted[i];
    if (!w) /* it came too late */
        return;
    if (!error || *error) {
        postpone(v, w, error ? error : "no answer");
        return;
    }
    st = take(v, w, (struct bawn_bytes){ m->blob, m->blob_len }, &why);
    if (st != BAWN_OK) {
        postpone(v, w, why.msg);
        return;
    }
    journal("info", "collateral was fetched", "{s:s, s:s}", "path", w->path, "name", w->name);
    w->id = 0;
    w->backoff = w->next = 0;
    w->why[0] = '\0';
}
