/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event logs of measured boot: the TCG PC Client log (SHA-1 and crypto-agile forms) and the
 * log of a confidential guest (CCEL). A log is read in place, one event after the other, and
 * replayed into the register values that it accounts for. A log proves nothing by itself: what
 * it says is as good as the signed register values that the replay equals.
 *
 * TCG PC Client Platform Firmware Profile (PFP) 1.06, section 10; UEFI 2.10, section 38.
 */
#ifndef BAWN_ATTEST_EVENTLOG_H
#define BAWN_ATTEST_EVENTLOG_H

#include <bawn/attest.h>
#include <bawn/cursor.h>

#include "attest/lib/crypto.h"

/* PFP 10.4.1, table of event types. */
enum {
    EV_PREBOOT_CERT = 0x00,
    EV_POST_CODE = 0x01,
    EV_UNUSED = 0x02,
    EV_NO_ACTION = 0x03,
    EV_SEPARATOR = 0x04,
    EV_ACTION = 0x05,
    EV_EVENT_TAG = 0x06,
    EV_S_CRTM_CONTENTS = 0x07,
    EV_S_CRTM_VERSION = 0x08,
    EV_CPU_MICROCODE = 0x09,
    EV_PLATFORM_CONFIG_FLAGS = 0x0a,
    EV_TABLE_OF_DEVICES = 0x0b,
    EV_COMPACT_HASH = 0x0c,
    EV_IPL = 0x0d,
    EV_IPL_PARTITION_DATA = 0x0e,
    EV_NONHOST_CODE = 0x0f,
    EV_NONHOST_CONFIG = 0x10,
    EV_NONHOST_INFO = 0x11,
    EV_OMIT_BOOT_DEVICE_EVENTS = 0x12,
    EV_POST_CODE2 = 0x13,
};

#define EV_EFI_VARIABLE_DRIVER_CONFIG 0x80000001u
#define EV_EFI_VARIABLE_BOOT 0x80000002u
#define EV_EFI_BOOT_SERVICES_APPLICATION 0x80000003u
#define EV_EFI_BOOT_SERVICES_DRIVER 0x80000004u
#define EV_EFI_RUNTIME_SERVICES_DRIVER 0x80000005u
#define EV_EFI_GPT_EVENT 0x80000006u
#define EV_EFI_ACTION 0x80000007u
#define EV_EFI_PLATFORM_FIRMWARE_BLOB 0x80000008u
#define EV_EFI_HANDOFF_TABLES 0x80000009u
#define EV_EFI_PLATFORM_FIRMWARE_BLOB2 0x8000000au
#define EV_EFI_HANDOFF_TABLES2 0x8000000bu
#define EV_EFI_VARIABLE_BOOT2 0x8000000cu
#define EV_EFI_GPT_EVENT2 0x8000000du
#define EV_EFI_HCRTM_EVENT 0x80000010u
#define EV_EFI_VARIABLE_AUTHORITY 0x800000e0u
#define EV_EFI_SPDM_FIRMWARE_BLOB 0x800000e1u
#define EV_EFI_SPDM_FIRMWARE_CONFIG 0x800000e2u
#define EV_EFI_SPDM_DEVICE_POLICY 0x800000e3u
#define EV_EFI_SPDM_DEVICE_AUTHORITY 0x800000e4u

#define EVENTLOG_REGISTERS 24 /* PCRs; a CC log has 0 (MRTD) and 1..4 (RTMR0..3) */
#define EVENTLOG_CC_REGISTERS 5
#define EVENTLOG_ALGS 16 /* TPM 2.0 library, part 2: HASH_COUNT of any known TPM is less */

struct eventlog_alg {
    uint16_t id, size;  /* TPM_ALG_ID, bytes of its digests */
    enum hash_alg hash; /* HASH_NONE: not computed here */
};

struct eventlog {
    struct bawn_bytes bytes; /* without the padding */
    bool agile;              /* TCG_PCR_EVENT2 after a Spec ID Event03, else TCG_PCClientPCREvent */
    bool cc;                 /* indexes are measurement registers, not PCRs */
    bool has_version;        /* a Spec ID event gave the version */
    uint8_t major, minor, errata;
    struct eventlog_alg algs[EVENTLOG_ALGS]; /* in the order of the log */
    unsigned nr_algs;
    size_t nr_events;  /* the Spec ID event among them */
    size_t padding;    /* bytes of 0x00 or of 0xff after the last event */
    bool has_locality; /* a StartupLocality event is there */
    uint8_t locality;  /* of TPM2_Startup: 0, 3 or 4; PCR 0 starts as that number */
    bool hcrtm;        /* an H-CRTM measured before TPM2_Startup: PCR 0 starts as 4 */
    uint32_t extended; /* bit n: register n has events that extend it */
};

struct eventlog_event {
    size_t number, offset; /* in the log, both from 0 */
    uint32_t index, type;
    unsigned nr_digests;
    struct bawn_bytes digests; /* TPMT_HAs; in the SHA-1 form the one digest */
    struct bawn_bytes data;
};

/* Looks at the first bytes (crypto-agile) or events (SHA-1): a log, or the ACPI table CCEL that
 * says where a log is? Whether it is whole is eventlog_open's. */
bool eventlog_recognise(struct bawn_bytes blob, bool *cc);
/* The ACPI table CCEL. Gives the address and the size of the log's area. */
bool eventlog_ccel_table(struct bawn_bytes blob, uint64_t *address, uint64_t *size);

/* Reads the whole log and checks its form; every event is then well-formed. Borrows the bytes. */
enum bawn_status eventlog_open(struct eventlog *log, struct bawn_bytes bytes, bool cc,
                               struct bawn_error *err);

/* The events in order: struct bawn_cursor at = eventlog_start(log); while (eventlog_next(...)). */
struct bawn_cursor eventlog_start(const struct eventlog *log);
bool eventlog_next(const struct eventlog *log, struct bawn_cursor *at, struct eventlog_event *ev);
/* The event's digest of that algorithm; empty when it has none. */
struct bawn_bytes eventlog_digest(const struct eventlog *log, const struct eventlog_event *ev,
                                  enum hash_alg alg);
/* Whether the event changes its register. */
bool eventlog_extends(const struct eventlog *log, const struct eventlog_event *ev);
bool eventlog_has_bank(const struct eventlog *log, enum hash_alg alg);

struct eventlog_replay {
    enum hash_alg alg;
    uint32_t extended;                           /* bit n: register n has events */
    uint8_t value[EVENTLOG_REGISTERS][HASH_MAX]; /* all; initial values where there are none */
};

/* What the registers of that bank hold after the log. BAWN_E_UNSUPPORTED: no such bank;
 * BAWN_E_FORMAT: an event has no digest of it. */
enum bawn_status eventlog_replay(const struct eventlog *log, enum hash_alg alg,
                                 struct eventlog_replay *out, struct bawn_error *err);

#endif
