// SPDX-License-Identifier: Apache-2.0
/*
 * For tests of the service: a confidential guest without a machine. Its secure processor is the
 * model of platform/firmware; the root that its reports rest on goes to the file that is named.
 * With a folder as the second argument, its endorsements go there, and the evidence is without
 * VCEK. Reads report data (128 hexadecimal digits a line), writes evidence (JSON, a line).
 */
#include "tests/unit/firmware/rig.h"

#include <stdio.h>
#include <time.h>

#include <jansson.h>
#include <openssl/evp.h>

static void write_root(const char *path)
{
    struct psp_identity *identity = rig_identity(PSP_GENOA);
    struct bawn_error err = { "" };
    struct psp_blob ark;
    FILE *f = fopen(path, "w");

    if (!f || psp_identity_export(identity, PSP_ARK, &ark, &err) != BAWN_OK ||
        fwrite(ark.data, 1, ark.len, f) != ark.len || fclose(f))
        exit(1);
    psp_blob_free(&ark);
    psp_identity_destroy(identity);
}

static bool put(const char *dir, const char *name, const struct psp_blob *blob)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    return f && fwrite(blob->data, 1, blob->len, f) == blob->len && !fclose(f);
}

static bool report_for(struct driver *d, const char *hex, struct bawn_snp_report *report)
{
    struct bawn_psp_report_req in = { .vmpl = 0 };
    struct bawn_psp_report_rsp rsp;
    uint8_t out[BAWN_PSP_MSG_MAX];

    for (size_t i = 0; i < sizeof(in.report_data); i++)
        if (sscanf(hex + 2 * i, "%2hhx", &in.report_data[i]) != 1)
            return false;
    if (driver_ask(d, BAWN_PSP_MSG_REPORT_REQ, 1, &in, sizeof(in), out) !=
        sizeof(rsp) + sizeof(*report))
        return false;
    memcpy(report, out + sizeof(rsp), sizeof(*report));
    return true;
}

int main(int argc, char **argv)
{
    struct psp_blob files[PSP_ENDORSEMENTS];
    struct bawn_snp_report report;
    struct bawn_error err = { "" };
    char text[2 * sizeof(report)], line[256];
    struct driver d;
    struct rig rig;

    if (argc != 2 && argc != 3)
        return 64;
    write_root(argv[1]);
    rig_create(&rig, PSP_GENOA, NULL);
    rig_init(&rig);
    rig_launch(&rig, GCTX, 1);
    driver_create(&d, &rig, GCTX, 0);
    if (psp_endorse(rig.psp, time(NULL), files, &err) != BAWN_OK)
        return 1;
    if (argc == 3 && (!put(argv[2], "vcek.pem", &files[PSP_VCEK]) ||
                      !put(argv[2], "chain.pem", &files[PSP_CERT_CHAIN]) ||
                      !put(argv[2], "crl.der", &files[PSP_CRL])))
        return 1;
    while (fgets(line, sizeof(line), stdin) && strlen(line) >= 128 &&
           report_for(&d, line, &report)) {
        json_t *evidence;

        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)&report, sizeof(report));
        evidence = argc == 3 ? json_pack("{s:s, s:[s%]}", "attestation_report", text, "cert_chain",
                                         files[PSP_CERT_CHAIN].data, files[PSP_CERT_CHAIN].len)
                             : json_pack("{s:s, s:[s%, s%]}", "attestation_report", text,
                                         "cert_chain", files[PSP_VCEK].data, files[PSP_VCEK].len,
                                         files[PSP_CERT_CHAIN].data, files[PSP_CERT_CHAIN].len);
        if (!evidence || json_dumpf(evidence, stdout, JSON_COMPACT))
            return 1;
        putchar('\n');
        fflush(stdout);
        json_decref(evidence);
    }
    return 0;
}
