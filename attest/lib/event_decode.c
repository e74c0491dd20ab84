// SPDX-License-Identifier: Apache-2.0
/*
 * The event types, one line each: name, whether the digest is that of the data, how the data
 * is shown. Trusts nothing in the event.
 */
#include "attest/lib/event_decode.h"

#include <string.h>

#include "attest/lib/codec.h"

enum match_rule {
    MATCH_MAY,   /* the digest can be of the data or of what the data describes */
    MATCH_MUST,  /* PFP 10.4.1: the digest is that of the event data */
    MATCH_NEVER, /* the data only points at what was measured: do not hash for nothing */
};

struct event_type {
    uint32_t type;
    enum match_rule rule;
    const char *name;
    void (*show)(struct event_text *t, struct bawn_bytes data);
};

static void show_separator(struct event_text *t, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    uint32_t value = bawn_cursor_u32(&c);

    if (data.len != sizeof(value) || (value != 0 && value != UINT32_MAX)) {
        text_add(t, "separator: ");
        text_guess(t, data);
    } else {
        text_add(t, value ? "separator (0xffffffff)" : "separator");
    }
}

/* Linux, drivers/firmware/efi/libstub/efi-stub-helper.c; Windows boot logs, wbcl.h. */
static void show_tag(struct event_text *t, struct bawn_bytes data)
{
    static const struct {
        uint32_t id;
        const char *name;
    } tags[] = {
        { 0x8f3b22ec, "Linux initrd" },
        { 0x8f3b22ed, "Linux load options" },
        { 0x40010001, "Windows trust boundary" },
        { 0x40010002, "Windows ELAM" },
        { 0x40010003, "Windows loaded module" },
        { 0x40010004, "Windows trustpoint" },
        { 0x00060002, "Windows module authority" },
    };
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    uint32_t id = bawn_cursor_u32(&c), size = bawn_cursor_u32(&c);
    struct bawn_bytes value = event_take(&c, size);

    if (c.failed) {
        text_add(t, "malformed tagged event: ");
        text_guess(t, data);
        return;
    }
    text_add(t, "tag 0x%08x", id);
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        if (tags[i].id == id)
            text_add(t, " (%s)", tags[i].name);
    }
    text_add(t, ": ");
    text_guess(t, value);
}

static void show_nonhost(struct event_text *t, struct bawn_bytes data)
{
    /* Google Compute Engine, "Confidential VM measurement register contents". */
    static const char signature[] = "GCE NonHostInfo";
    static const char *const names[] = { "none", "AMD SEV", "AMD SEV-ES", "Intel TDX",
                                         "AMD SEV-SNP" };
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    uint8_t technology;

    bawn_cursor_take(&c, sizeof(signature));
    technology = bawn_cursor_u8(&c);
    if (!event_begins(data, signature) || c.failed) {
        text_guess(t, data);
        return;
    }
    text_add(t, "%s, confidential technology %u", signature, technology);
    if (technology < sizeof(names) / sizeof(names[0]))
        text_add(t, " (%s)", names[technology]);
}

/* A string with a length of one byte that counts its NUL: PFP 10.4.5.2. */
static void show_counted(struct event_text *t, struct bawn_cursor *c, const char *label)
{
    struct bawn_bytes s = event_take(c, bawn_cursor_u8(c));

    if (!c->failed && s.len > 1) {
        text_add(t, "%s", label);
        text_ascii(t, s);
    }
}

/* PFP 10.4.5.2, BIOS Integrity Measurement Reference Manifest Event, its three forms. */
static void show_sp800_155(struct event_text *t, struct bawn_bytes data)
{
    enum { LOCATOR_URI = 1, GUID_SIZE = 16, SIGNATURE = 16 };
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    struct bawn_bytes signature = event_take(&c, SIGNATURE);
    uint32_t locator;

    text_ascii(
        t, (struct bawn_bytes){ signature.data, strnlen((const char *)signature.data, SIGNATURE) });
    text_add(t, ": vendor 0x%x, reference manifest ", bawn_cursor_u32(&c));
    text_guid(t, event_take(&c, GUID_SIZE));
    if (!event_begins(signature, "SP800-155 Event2") &&
        !event_begins(signature, "SP800-155 Event3"))
        return;
    show_counted(t, &c, ", platform ");
    show_counted(t, &c, ", model ");
    show_counted(t, &c, ", version ");
    show_counted(t, &c, ", firmware by ");
    bawn_cursor_u32(&c); /* firmware manufacturer's number */
    show_counted(t, &c, ", firmware version ");
    if (!event_begins(signature, "SP800-155 Event3") || c.failed)
        return;
    locator = bawn_cursor_u32(&c);
    if (locator == LOCATOR_URI) {
        struct bawn_bytes uri = event_take(&c, bawn_cursor_u32(&c));

        text_add(t, ", at ");
        text_ascii(t, uri);
    } else {
        text_add(t, ", locator type %u", locator);
    }
}

static void show_no_action(struct event_text *t, struct bawn_bytes data)
{
    enum { SIGNATURE = 16 };
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    struct bawn_bytes signature = event_take(&c, SIGNATURE);

    if (c.failed) {
        text_guess(t, data);
    } else if (event_begins(signature, "Spec ID Event0")) {
        uint8_t minor, major;

        bawn_cursor_u32(&c); /* platformClass */
        minor = bawn_cursor_u8(&c);
        major = bawn_cursor_u8(&c);
        text_ascii(t, signature);
        text_add(t, ": version %u.%u, errata %u", major, minor, bawn_cursor_u8(&c));
    } else if (event_begins(signature, "StartupLocality")) {
        text_add(t, "startup locality %u", bawn_cursor_u8(&c));
    } else if (event_begins(signature, "SP800-155 Event")) {
        show_sp800_155(t, data);
    } else {
        text_guess(t, data);
    }
}

/* Sorted as in PFP 10.4.1. Images, blobs and tables are measured by their content, which is not
 * in the log. Of variables PFP 10.4.1 and 3.3.4 say that UEFI_VARIABLE_DATA is measured. */
static const struct event_type types[] = {
    { EV_PREBOOT_CERT, MATCH_MAY, "EV_PREBOOT_CERT", text_guess },
    { EV_POST_CODE, MATCH_MAY, "EV_POST_CODE", text_guess },
    { EV_UNUSED, MATCH_MAY, "EV_UNUSED", text_guess },
    { EV_NO_ACTION, MATCH_NEVER, "EV_NO_ACTION", show_no_action },
    { EV_SEPARATOR, MATCH_MUST, "EV_SEPARATOR", show_separator },
    { EV_ACTION, MATCH_MUST, "EV_ACTION", text_guess },
    { EV_EVENT_TAG, MATCH_MAY, "EV_EVENT_TAG", show_tag },
    { EV_S_CRTM_CONTENTS, MATCH_MAY, "EV_S_CRTM_CONTENTS", text_guess },
    { EV_S_CRTM_VERSION, MATCH_MUST, "EV_S_CRTM_VERSION", text_guess },
    { EV_CPU_MICROCODE, MATCH_MAY, "EV_CPU_MICROCODE", text_guess },
    { EV_PLATFORM_CONFIG_FLAGS, MATCH_MAY, "EV_PLATFORM_CONFIG_FLAGS", text_guess },
    { EV_TABLE_OF_DEVICES, MATCH_MAY, "EV_TABLE_OF_DEVICES", text_guess },
    { EV_COMPACT_HASH, MATCH_MAY, "EV_COMPACT_HASH", text_guess },
    { EV_IPL, MATCH_MAY, "EV_IPL", text_guess },
    { EV_IPL_PARTITION_DATA, MATCH_MAY, "EV_IPL_PARTITION_DATA", text_guess },
    { EV_NONHOST_CODE, MATCH_MAY, "EV_NONHOST_CODE", text_guess },
    { EV_NONHOST_CONFIG, MATCH_MAY, "EV_NONHOST_CONFIG", text_guess },
    { EV_NONHOST_INFO, MATCH_MAY, "EV_NONHOST_INFO", show_nonhost },
    { EV_OMIT_BOOT_DEVICE_EVENTS, MATCH_MUST, "EV_OMIT_BOOT_DEVICE_EVENTS", text_guess },
    { EV_POST_CODE2, MATCH_NEVER, "EV_POST_CODE2", event_text_blob2 },
    { EV_EFI_VARIABLE_DRIVER_CONFIG, MATCH_MUST, "EV_EFI_VARIABLE_DRIVER_CONFIG",
      event_text_variable },
    { EV_EFI_VARIABLE_BOOT, MATCH_MUST, "EV_EFI_VARIABLE_BOOT", event_text_variable },
    { EV_EFI_BOOT_SERVICES_APPLICATION, MATCH_NEVER, "EV_EFI_BOOT_SERVICES_APPLICATION",
      event_text_image },
    { EV_EFI_BOOT_SERVICES_DRIVER, MATCH_NEVER, "EV_EFI_BOOT_SERVICES_DRIVER", event_text_image },
    { EV_EFI_RUNTIME_SERVICES_DRIVER, MATCH_NEVER, "EV_EFI_RUNTIME_SERVICES_DRIVER",
      event_text_image },
    { EV_EFI_GPT_EVENT, MATCH_MUST, "EV_EFI_GPT_EVENT", event_text_gpt },
    { EV_EFI_ACTION, MATCH_MUST, "EV_EFI_ACTION", text_guess },
    { EV_EFI_PLATFORM_FIRMWARE_BLOB, MATCH_NEVER, "EV_EFI_PLATFORM_FIRMWARE_BLOB",
      event_text_blob },
    { EV_EFI_HANDOFF_TABLES, MATCH_NEVER, "EV_EFI_HANDOFF_TABLES", event_text_tables },
    { EV_EFI_PLATFORM_FIRMWARE_BLOB2, MATCH_NEVER, "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
      event_text_blob2 },
    { EV_EFI_HANDOFF_TABLES2, MATCH_NEVER, "EV_EFI_HANDOFF_TABLES2", event_text_tables2 },
    { EV_EFI_VARIABLE_BOOT2, MATCH_MUST, "EV_EFI_VARIABLE_BOOT2", event_text_variable },
    { EV_EFI_GPT_EVENT2, MATCH_MUST, "EV_EFI_GPT_EVENT2", event_text_gpt },
    { EV_EFI_HCRTM_EVENT, MATCH_MAY, "EV_EFI_HCRTM_EVENT", text_guess },
    { EV_EFI_VARIABLE_AUTHORITY, MATCH_MUST, "EV_EFI_VARIABLE_AUTHORITY", event_text_authority },
    { EV_EFI_SPDM_FIRMWARE_BLOB, MATCH_MAY, "EV_EFI_SPDM_FIRMWARE_BLOB", text_guess },
    { EV_EFI_SPDM_FIRMWARE_CONFIG, MATCH_MAY, "EV_EFI_SPDM_FIRMWARE_CONFIG", text_guess },
    { EV_EFI_SPDM_DEVICE_POLICY, MATCH_MAY, "EV_EFI_SPDM_DEVICE_POLICY", text_guess },
    { EV_EFI_SPDM_DEVICE_AUTHORITY, MATCH_MAY, "EV_EFI_SPDM_DEVICE_AUTHORITY", text_guess },
};

static const struct event_type *find_type(uint32_t type)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].type == type)
            return &types[i];
    }
    return NULL;
}

const char *event_type_name(uint32_t type)
{
    const struct event_type *t = find_type(type);

    return t ? t->name : "unknown event type";
}

bool event_must_match(const struct eventlog_event *ev)
{
    const struct event_type *t = find_type(ev->type);

    return t && t->rule == MATCH_MUST;
}

const char *event_describe(struct arena *a, const struct eventlog_event *ev)
{
    const struct event_type *type = find_type(ev->type);
    struct event_text t = { .len = 0 };
    const char *text;

    if (!ev->data.len)
        return "";
    if (type)
        type->show(&t, ev->data);
    else
        text_guess(&t, ev->data);
    t.buf[t.len] = '\0';
    text = (const char *)arena_copy(a, t.buf, t.len + 1).data;
    return text ? text : "";
}

/* ---- What the digest is of ---- */

struct attempt {
    enum hash_alg alg;
    struct bawn_bytes digest;
    struct bawn_bytes *measured;
};

static bool is_of(const struct attempt *at, struct bawn_bytes part)
{
    uint8_t hash[HASH_MAX];

    if (!hash_bytes(at->alg, part.data, part.len, hash) ||
        !bytes_equal(at->digest, (struct bawn_bytes){ hash, hash_size(at->alg) }))
        return false;
    *at->measured = part;
    return true;
}

static bool is_of_all_but(const struct attempt *at, struct bawn_bytes data, size_t head,
                          size_t tail)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);

    if (head > data.len || tail > data.len - head)
        return false;
    bawn_cursor_take(&c, head);
    return is_of(at, event_take(&c, data.len - head - tail));
}

/* What GRUB puts before the text that it measures (grub-core/commands/efi/tpm.c and the
 * distributions' forms of 2018 to 2020), and the NUL that it puts after. */
static bool is_of_grub_text(const struct attempt *at, struct bawn_bytes data)
{
    static const char *const labels[] = { "grub_cmd: ",           "kernel_cmdline: ",
                                          "module_cmdline: ",     "grub_cmd ",
                                          "grub_kernel_cmdline ", "grub_module_cmdline " };
    size_t nul = data.len && data.data[data.len - 1] == 0;

    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        size_t head = strlen(labels[i]);

        if (event_begins(data, labels[i]))
            return (nul && is_of_all_but(at, data, head, nul)) || is_of_all_but(at, data, head, 0);
    }
    return nul && is_of_all_but(at, data, 0, nul);
}

enum event_match event_match(const struct eventlog_event *ev, enum hash_alg alg,
                             struct bawn_bytes digest, struct bawn_bytes *measured)
{
    static const uint8_t error_number[] = { 1, 0, 0, 0 }; /* PFP 10.4.1, EV_SEPARATOR */
    const struct event_type *type = find_type(ev->type);
    struct attempt at = { alg, digest, measured };
    struct efi_variable var;

    *measured = (struct bawn_bytes){ NULL, 0 };
    if ((type && type->rule == MATCH_NEVER) || !digest.len)
        return EVENT_NO_MATCH;
    if (ev->type == EV_SEPARATOR && is_of(&at, (struct bawn_bytes){ error_number, 4 })) {
        *measured = (struct bawn_bytes){ NULL, 0 };
        return EVENT_SIGNALS_ERROR;
    }
    if (is_of(&at, ev->data))
        return EVENT_MATCH;
    switch (ev->type) {
    case EV_IPL:
        return is_of_grub_text(&at, ev->data) ? EVENT_MATCH : EVENT_NO_MATCH;
    case EV_EFI_VARIABLE_BOOT: /* EDK II measures the value alone */
        return efi_variable_parse(ev->data, &var) && is_of(&at, var.data) ? EVENT_MATCH
                                                                          : EVENT_NO_MATCH;
    case EV_EFI_VARIABLE_AUTHORITY: /* shim before 15.3 logs one byte more than it measures */
        return is_of_all_but(&at, ev->data, 0, 1) ? EVENT_MATCH : EVENT_NO_MATCH;
    default:
        return EVENT_NO_MATCH;
    }
}
