// SPDX-License-Identifier: Apache-2.0
/* Guests of the software platform that make evidence as fast as the model signs. */
#include "tests/bench/attestd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/core_names.h>

#include "tests/unit/firmware/rig.h"

struct guest {
    struct rig rig;
    struct driver driver;
    char key[512];      /* the JWK */
    char *certificates; /* a JSON array */
};

/* ---- The identity's files ---- */

static bool read_file(const char *path, struct psp_blob *blob)
{
    FILE *f = fopen(path, "r");
    long len;

    if (!f)
        return false;
    if (fseek(f, 0, SEEK_END) || (len = ftell(f)) < 0 || fseek(f, 0, SEEK_SET))
        die("%s: %s", path, strerror(errno));
    *blob = (struct psp_blob){ malloc((size_t)len + 1), (size_t)len };
    if (!blob->data || fread(blob->data, 1, blob->len, f) != blob->len)
        die("%s: cannot be read", path);
    fclose(f);
    return true;
}

static void write_file(const char *path, const struct psp_blob *blob)
{
    FILE *f = fopen(path, "w");

    if (!f || fwrite(blob->data, 1, blob->len, f) != blob->len || fclose(f))
        die("%s: cannot be written", path);
}

static void make_identity(const char *dir)
{
    struct psp_identity *identity;
    struct bawn_error err = { "" };
    struct psp_blob part;
    char path[512];

    if (mkdir(dir, 0700) && errno != EEXIST)
        die("%s: %s", dir, strerror(errno));
    if (psp_identity_create(&identity, PSP_GENOA, 2048, time(NULL) - 3600, &err) != BAWN_OK)
        die("%s", err.msg);
    for (unsigned i = 0; i < PSP_IDENTITY_PARTS; i++) {
        if (psp_identity_export(identity, (enum psp_identity_part)i, &part, &err) != BAWN_OK)
            die("%s", err.msg);
        snprintf(path, sizeof(path), "%s/%s", dir, psp_identity_files[i].name);
        write_file(path, &part);
        snprintf(path, sizeof(path), "%s/root.pem", dir);
        if (i == PSP_ARK)
            write_file(path, &part);
        psp_blob_free(&part);
    }
    psp_identity_destroy(identity);
}

static struct psp_identity *load_identity(const char *dir)
{
    struct psp_blob parts[PSP_IDENTITY_PARTS];
    struct psp_identity *identity;
    struct bawn_error err = { "" };
    char path[512];

    for (unsigned i = 0; i < PSP_IDENTITY_PARTS; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, psp_identity_files[i].name);
        if (read_file(path, &parts[i]))
            continue;
        if (i)
            die("%s is not there", path);
        make_identity(dir);
        if (!read_file(path, &parts[i]))
            die("%s is not there", path);
    }
    if (psp_identity_import(&identity, parts, &err) != BAWN_OK)
        die("%s: %s", dir, err.msg);
    for (unsigned i = 0; i < PSP_IDENTITY_PARTS; i++)
        psp_blob_free(&parts[i]);
    return identity;
}

/* ---- A guest ---- */

/* PEM as JSON text: only its line ends need an escape. */
static char *put_pem(char *to, const struct psp_blob *pem)
{
    *to++ = '"';
    for (size_t i = 0; i < pem->len; i++) {
        if (pem->data[i] == '\n') {
            *to++ = '\\';
            *to++ = 'n';
        } else {
            *to++ = (char)pem->data[i];
        }
    }
    *to++ = '"';
    return to;
}

static void take_certificates(struct guest *g)
{
    struct psp_blob files[PSP_ENDORSEMENTS];
    struct bawn_error err = { "" };
    char *to;

    if (psp_endorse(g->rig.psp, time(NULL), files, &err) != BAWN_OK)
        die("%s", err.msg);
    g->certificates = malloc(2 * (files[PSP_VCEK].len + files[PSP_CERT_CHAIN].len) + 16);
    if (!g->certificates)
        die("no memory");
    to = g->certificates;
    *to++ = '[';
    to = put_pem(to, &files[PSP_VCEK]);
    *to++ = ',';
    to = put_pem(to, &files[PSP_CERT_CHAIN]);
    *to++ = ']';
    *to = '\0';
    for (unsigned i = 0; i < PSP_ENDORSEMENTS; i++)
        psp_blob_free(&files[i]);
}

/* base64url of a coordinate of P-256, without padding. */
static void coordinate(EVP_PKEY *key, const char *name, char out[64])
{
    unsigned char bytes_of[32];
    BIGNUM *n = NULL;

    if (EVP_PKEY_get_bn_param(key, name, &n) != 1 || BN_bn2binpad(n, bytes_of, 32) != 32)
        die("no coordinate");
    BN_free(n);
    EVP_EncodeBlock((unsigned char *)out, bytes_of, 32);
    for (char *p = out; *p; p++)
        *p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
}

static void make_key(struct guest *g)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    char x[64], y[64];

    if (!key)
        die("no key");
    coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, x);
    coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, y);
    snprintf(g->key, sizeof(g->key),
             "{\"alg\":\"ECDH-ES+A256KW\",\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\","
             "\"y\":\"%s\"}",
             x, y);
    EVP_PKEY_free(key);
}

static void forget(struct rig *rig, const struct psp_record *record)
{
    (void)rig, (void)record;
}

struct guest *guest_create(const char *dir)
{
    static const struct psp_config plain;
    struct guest *g = calloc(1, sizeof(*g));
    struct bawn_error err = { "" };

    if (!g)
        die("no memory");
    rig_connect(&g->rig, -1);
    g->rig.save = forget;
    if (psp_create(&g->rig.psp, load_identity(dir), &plain, &err) != BAWN_OK)
        die("%s", err.msg);
    rig_init(&g->rig);
    rig_launch(&g->rig, GCTX, 1);
    driver_create(&g->driver, &g->rig, GCTX, 0);
    take_certificates(g);
    make_key(g);
    return g;
}

char *guest_evidence(struct guest *g, const char *nonce)
{
    struct bawn_psp_report_req in = { .vmpl = 0 };
    struct bawn_snp_report report;
    uint8_t out[BAWN_PSP_MSG_MAX];
    char runtime[1024], text[2 * sizeof(report)], *body;
    unsigned len;

    /* As RFC 8785 has it: names in order, no space. */
    snprintf(runtime, sizeof(runtime), "{\"nonce\":\"%s\",\"tee-pubkey\":%s}", nonce, g->key);
    if (EVP_Digest(runtime, strlen(runtime), in.report_data, &len, EVP_sha384(), NULL) != 1 ||
        driver_ask(&g->driver, BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in), out) !=
            sizeof(struct bawn_psp_report_rsp) + sizeof(report))
        die("no report");
    memcpy(&report, out + sizeof(struct bawn_psp_report_rsp), sizeof(report));
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)&report, sizeof(report));
    if (asprintf(&body,
                 "{\"runtime-data\":%s,\"tee-evidence\":{\"primary_evidence\":"
                 "{\"attestation_report\":\"%s\",\"cert_chain\":%s},"
                 "\"additional_evidence\":\"{}\"}}",
                 runtime, text, g->certificates) < 0)
        die("no memory");
    return body;
}
