// SPDX-License-Identifier: Apache-2.0
/*
 * State that outlives the process: one record of the platform, one of each guest. A record is
 * trusted to be what was saved (its directory is the daemon's alone), and still checked: the
 * digest at its end finds a torn or foreign one.
 *
 * A guest that launches changes with every page. Its record is written once, to say that a
 * launch is under way, and again when that has ended; psp_park() writes the whole of it. Read
 * back before that, it gives a guest that can be decommissioned and nothing else.
 */
#include "platform/firmware/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGEST_SIZE 48

struct head {
    char magic[8];
    uint8_t chip_id[BAWN_SNP_CHIP_ID_SIZE];
};

struct platform_record {
    struct head head;
    uint32_t state, config;
    uint32_t nr_asids, c_bit;
    uint8_t committed_tcb[BAWN_SNP_TCB_SIZE], reported_tcb[BAWN_SNP_TCB_SIZE];
    uint8_t unflushed[(PSP_ASIDS_MAX + 1) / 8];
};

struct guest_record {
    struct head head;
    uint64_t gctx, policy;
    uint64_t messages[BAWN_PSP_VMPCKS];
    uint64_t launch_mit_vector;
    uint32_t state, asid, guest_svn, tsc_khz;
    uint8_t lost, author_key_en, vcek_dis, reserved[5];
    uint8_t ld[BAWN_SNP_DIGEST_SIZE];
    uint8_t vmpck[BAWN_PSP_VMPCKS][BAWN_PSP_VMPCK_SIZE];
    uint8_t vmrk[32], family_id[16], image_id[16];
    uint8_t id_key_digest[BAWN_SNP_DIGEST_SIZE], author_key_digest[BAWN_SNP_DIGEST_SIZE];
    uint8_t report_id[32], host_data[32], gosvw[16];
    uint8_t launch_tcb[BAWN_SNP_TCB_SIZE];
};

static const char magic_platform[8] = { 'B', 'A', 'W', 'N', 'P', 'L', 'T', '1' };
static const char magic_guest[8] = { 'B', 'A', 'W', 'N', 'G', 'S', 'T', '1' };

_Static_assert(sizeof(struct guest_record) + DIGEST_SIZE <= PSP_RECORD_MAX, "record");
_Static_assert(sizeof(struct platform_record) + DIGEST_SIZE <= PSP_RECORD_MAX, "record");

/* ---- Sealing ---- */

static void begin(const struct psp *psp, struct head *head, const char magic[8])
{
    memcpy(head->magic, magic, sizeof(head->magic));
    memcpy(head->chip_id, psp->identity->chip_id, sizeof(head->chip_id));
}

static void seal(struct psp_record *record, const void *body, size_t len)
{
    memcpy(record->data, body, len);
    if (!EVP_Q_digest(NULL, "SHA384", NULL, body, len, record->data + len, NULL))
        memset(record->data + len, 0, DIGEST_SIZE); /* refused when it is read */
    record->len = len + DIGEST_SIZE;
}

/* Copies the body out when the record is whole, of this kind and of this chip. */
static bool open_record(const struct psp *psp, const char magic[8], const uint8_t *data, size_t len,
                        void *body, size_t body_len)
{
    struct bawn_cursor c = bawn_cursor_over(data, len);
    const uint8_t *p = bawn_cursor_take(&c, body_len);
    const uint8_t *digest = bawn_cursor_take(&c, DIGEST_SIZE);
    uint8_t ours[DIGEST_SIZE];
    struct head head;

    if (!digest || bawn_cursor_left(&c) ||
        !EVP_Q_digest(NULL, "SHA384", NULL, p, body_len, ours, NULL) ||
        CRYPTO_memcmp(ours, digest, sizeof(ours)) != 0)
        return false;
    memcpy(&head, p, sizeof(head));
    memcpy(body, p, body_len);
    return !memcmp(head.magic, magic, sizeof(head.magic)) &&
           !memcmp(head.chip_id, psp->identity->chip_id, sizeof(head.chip_id));
}

/* ---- Saving ---- */

static void save_platform(const struct psp *psp, struct psp_record *record)
{
    struct platform_record r = {
        .state = psp->state,
        .config = psp->config,
        .nr_asids = psp->nr_asids,
        .c_bit = psp->c_bit,
    };

    begin(psp, &r.head, magic_platform);
    memcpy(r.committed_tcb, psp->committed_tcb, sizeof(r.committed_tcb));
    memcpy(r.reported_tcb, psp->reported_tcb, sizeof(r.reported_tcb));
    for (unsigned i = 0; i <= PSP_ASIDS_MAX; i++)
        r.unflushed[i / 8] |= (uint8_t)(psp->unflushed[i] << i % 8);
    snprintf(record->name, sizeof(record->name), "platform");
    seal(record, &r, sizeof(r));
}

#define COPY(to, from, field) memcpy((to)->field, (from)->field, sizeof((to)->field))

static void save_guest(const struct psp *psp, const struct guest *guest, bool lost,
                       struct psp_record *record)
{
    struct guest_record r = {
        .gctx = guest->gctx,
        .policy = guest->policy,
        .launch_mit_vector = guest->launch_mit_vector,
        .state = guest->state,
        .asid = guest->asid,
        .guest_svn = guest->guest_svn,
        .tsc_khz = guest->tsc_khz,
        .lost = lost,
        .author_key_en = guest->author_key_en,
        .vcek_dis = guest->vcek_dis,
    };

    begin(psp, &r.head, magic_guest);
    COPY(&r, guest, messages);
    COPY(&r, guest, ld);
    COPY(&r, guest, vmpck);
    COPY(&r, guest, vmrk);
    COPY(&r, guest, family_id);
    COPY(&r, guest, image_id);
    COPY(&r, guest, id_key_digest);
    COPY(&r, guest, author_key_digest);
    COPY(&r, guest, report_id);
    COPY(&r, guest, host_data);
    COPY(&r, guest, gosvw);
    COPY(&r, guest, launch_tcb);
    seal(record, &r, sizeof(r));
    OPENSSL_cleanse(&r, sizeof(r));
}

static void name_guest(uint64_t gctx, struct psp_record *record)
{
    snprintf(record->name, sizeof(record->name), "guest-%016" PRIx64, gctx);
}

static void drop(struct psp *psp, size_t i)
{
    psp_guest_free(psp->guests[i]);
    psp->guests[i] = psp->guests[--psp->nr_guests];
    psp->guests[psp->nr_guests] = NULL;
}

bool psp_unsaved(struct psp *psp, struct psp_record *record)
{
    memset(record, 0, sizeof(*record));
    if (psp->save != PSP_SAVED) {
        save_platform(psp, record);
        psp->save = PSP_SAVED;
        return true;
    }
    for (size_t i = 0; i < psp->nr_guests; i++) {
        struct guest *guest = psp->guests[i];

        if (guest->save == PSP_SAVED)
            continue;
        name_guest(guest->gctx, record);
        if (guest->save == PSP_REMOVE) {
            drop(psp, i);
            return true;
        }
        guest->recorded = true;
        guest->record_lost =
            guest->lost || (guest->state == BAWN_PSP_GUEST_LAUNCH && guest->save != PSP_PARK);
        guest->save = PSP_SAVED;
        save_guest(psp, guest, guest->record_lost, record);
        return true;
    }
    return false;
}

void psp_park(struct psp *psp)
{
    for (size_t i = 0; i < psp->nr_guests; i++)
        if (psp->guests[i]->state == BAWN_PSP_GUEST_LAUNCH && psp->guests[i]->save != PSP_REMOVE &&
            !psp->guests[i]->lost)
            psp->guests[i]->save = PSP_PARK;
}

/* ---- Restoring ---- */

static bool restore_platform(struct psp *psp, const uint8_t *data, size_t len)
{
    struct platform_record r;

    if (!open_record(psp, magic_platform, data, len, &r, sizeof(r)) ||
        r.state > BAWN_PSP_PLATFORM_INIT || (r.config & BAWN_PSP_CONFIG_RESERVED) || !r.nr_asids ||
        r.nr_asids > PSP_ASIDS_MAX || !psp_tcb_at_most(r.committed_tcb, psp->current_tcb) ||
        !psp_tcb_at_most(r.reported_tcb, r.committed_tcb))
        return false;
    psp->state = r.state;
    psp->config = r.config;
    psp->nr_asids = r.nr_asids;
    psp->c_bit = r.c_bit;
    memcpy(psp->committed_tcb, r.committed_tcb, sizeof(psp->committed_tcb));
    memcpy(psp->reported_tcb, r.reported_tcb, sizeof(psp->reported_tcb));
    for (unsigned i = 0; i <= PSP_ASIDS_MAX; i++)
        psp->unflushed[i] = r.unflushed[i / 8] >> i % 8 & 1;
    psp->save = PSP_SAVED;
    return true;
}

static bool take_guest(struct psp *psp, const struct guest_record *r)
{
    struct guest *guest;

    if (r->state > BAWN_PSP_GUEST_RUNNING || r->asid > PSP_ASIDS_MAX ||
        psp_guest_find(psp, r->gctx))
        return false;
    guest = psp_guest_add(psp, r->gctx);
    if (!guest)
        return false;
    guest->policy = r->policy;
    guest->launch_mit_vector = r->launch_mit_vector;
    guest->state = r->state;
    guest->asid = r->asid;
    guest->guest_svn = r->guest_svn;
    guest->tsc_khz = r->tsc_khz;
    guest->lost = r->lost;
    guest->author_key_en = r->author_key_en;
    guest->vcek_dis = r->vcek_dis;
    COPY(guest, r, messages);
    COPY(guest, r, ld);
    COPY(guest, r, vmpck);
    COPY(guest, r, vmrk);
    COPY(guest, r, family_id);
    COPY(guest, r, image_id);
    COPY(guest, r, id_key_digest);
    COPY(guest, r, author_key_digest);
    COPY(guest, r, report_id);
    COPY(guest, r, host_data);
    COPY(guest, r, gosvw);
    COPY(guest, r, launch_tcb);
    guest->recorded = true;
    guest->record_lost = r->lost;
    guest->save = PSP_SAVED;
    return true;
}

static bool restore_guest(struct psp *psp, const char *name, const uint8_t *data, size_t len)
{
    struct guest_record r;
    struct psp_record expected = { .len = 0 };
    bool ok = open_record(psp, magic_guest, data, len, &r, sizeof(r));

    if (ok) {
        name_guest(r.gctx, &expected);
        ok = !strcmp(expected.name, name) && take_guest(psp, &r);
    }
    OPENSSL_cleanse(&r, sizeof(r));
    return ok;
}

enum bawn_status psp_restore(struct psp *psp, const char *name, const uint8_t *data, size_t len,
                             struct bawn_error *err)
{
    bool ok = !strcmp(name, "platform") ? restore_platform(psp, data, len)
                                        : restore_guest(psp, name, data, len);

    if (ok)
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_FORMAT,
                     "the record %s is broken or of another chip: remove it, and its guest with it",
                     name);
}
