// SPDX-License-Identifier: Apache-2.0
/*
 * The UEFI structures inside events: variables, signature databases, loaded images, partition
 * tables, firmware blobs, configuration tables. All from the log: hostile.
 */
#include "attest/lib/event_decode.h"

#include <string.h>

#include "attest/lib/x509.h"

enum { GUID_SIZE = 16 };

/* 8be4df61-93ca-11d2-aa0d-00e098032b8c */
const uint8_t efi_global_guid[16] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                      0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
/* d719b2cb-3d3a-4596-a3bc-dad00e67656f */
const uint8_t efi_security_guid[16] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
                                        0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
/* UEFI 2.10, 32.4.1: EFI_CERT_X509_GUID a5c059a1-94e4-4aa7-87b5-ab155c2bf072 */
static const uint8_t cert_x509_guid[16] = { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a,
                                            0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 };
/* EFI_CERT_SHA256_GUID c1c41626-504c-4092-aca9-41f936934328 */
static const uint8_t cert_sha256_guid[16] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40,
                                              0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };

bool efi_variable_parse(struct bawn_bytes bytes, struct efi_variable *out)
{
    struct bawn_cursor c = bawn_cursor_over(bytes.data, bytes.len);
    uint64_t name_len, data_len;

    out->guid = event_take(&c, GUID_SIZE);
    name_len = bawn_cursor_u64(&c); /* UnicodeNameLength: in characters */
    data_len = bawn_cursor_u64(&c);
    if (name_len > bytes.len / 2)
        return false;
    out->name = event_take(&c, name_len * 2);
    out->data = event_take(&c, data_len);
    return !c.failed && !bawn_cursor_left(&c);
}

bool efi_name_is(struct bawn_bytes name, const char *ascii)
{
    struct bawn_cursor c = bawn_cursor_over(name.data, name.len);
    size_t n = strlen(ascii);

    if (name.len != n * 2)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (bawn_cursor_u16(&c) != (unsigned char)ascii[i])
            return false;
    }
    return true;
}

struct efi_siglist efi_siglist_start(struct bawn_bytes database)
{
    return (struct efi_siglist){ .lists = bawn_cursor_over(database.data, database.len),
                                 .entries = bawn_cursor_over(NULL, 0) };
}

/* EFI_SIGNATURE_LIST: type, size of the list, of its header, of each signature. */
static bool enter_list(struct efi_siglist *l)
{
    enum { LIST_HEADER = 28 };
    uint32_t list_size, header_size;
    struct bawn_bytes body;

    l->type = event_take(&l->lists, GUID_SIZE);
    list_size = bawn_cursor_u32(&l->lists);
    header_size = bawn_cursor_u32(&l->lists);
    l->entry_size = bawn_cursor_u32(&l->lists);
    if (list_size < LIST_HEADER || header_size > list_size - LIST_HEADER ||
        l->entry_size <= GUID_SIZE || (list_size - LIST_HEADER - header_size) % l->entry_size != 0)
        l->lists.failed = true;
    bawn_cursor_take(&l->lists, header_size);
    if (l->lists.failed)
        return false;
    body = event_take(&l->lists, list_size - LIST_HEADER - header_size);
    l->entries = bawn_cursor_over(body.data, body.len);
    return !l->lists.failed;
}

bool efi_siglist_next(struct efi_siglist *l, struct efi_signature *out)
{
    while (!bawn_cursor_left(&l->entries)) {
        if (!bawn_cursor_left(&l->lists) || !enter_list(l))
            return false;
    }
    out->type = l->type;
    out->owner = event_take(&l->entries, GUID_SIZE);
    out->data = event_take(&l->entries, l->entry_size - GUID_SIZE);
    return !l->entries.failed;
}

bool efi_signature_is_x509(const struct efi_signature *s)
{
    return s->type.len == GUID_SIZE && !memcmp(s->type.data, cert_x509_guid, GUID_SIZE);
}

bool efi_signature_is_sha256(const struct efi_signature *s)
{
    return s->type.len == GUID_SIZE && !memcmp(s->type.data, cert_sha256_guid, GUID_SIZE);
}

/* ---- Text ---- */

static bool is_guid(struct bawn_bytes guid, const uint8_t *want)
{
    return guid.len == GUID_SIZE && !memcmp(guid.data, want, GUID_SIZE);
}

static void show_database(struct event_text *t, struct bawn_bytes data)
{
    struct efi_siglist list = efi_siglist_start(data);
    size_t certs = 0, hashes = 0, others = 0;
    struct efi_signature s;

    while (efi_siglist_next(&list, &s)) {
        if (efi_signature_is_x509(&s))
            certs++;
        else if (efi_signature_is_sha256(&s))
            hashes++;
        else
            others++;
    }
    if (list.lists.failed)
        text_add(t, " malformed signature database:");
    text_add(t, " %zu certificates, %zu SHA-256 hashes", certs, hashes);
    if (others)
        text_add(t, ", %zu others", others);
}

/* UEFI 2.10, 3.1.3: EFI_LOAD_OPTION. */
static void show_load_option(struct event_text *t, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    uint16_t path_len, ch;
    uint32_t attributes = bawn_cursor_u32(&c);
    struct bawn_bytes text, path;
    struct bawn_cursor start;
    size_t n = 0;

    path_len = bawn_cursor_u16(&c);
    start = c;
    do {
        ch = bawn_cursor_u16(&c);
        n += 2;
    } while (ch && !c.failed);
    text = event_take(&start, n);
    path = event_take(&c, path_len);
    if (c.failed) {
        text_add(t, " malformed load option");
        return;
    }
    text_add(t, " \"");
    text_utf16(t, text);
    text_add(t, "\" attributes 0x%x ", attributes);
    event_text_device_path(t, path);
    if (bawn_cursor_left(&c))
        text_add(t, " options of %zu bytes", bawn_cursor_left(&c));
}

static void show_boot_order(struct event_text *t, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);

    while (bawn_cursor_left(&c) >= 2)
        text_add(t, " Boot%04X", bawn_cursor_u16(&c));
}

static bool is_boot_option(struct bawn_bytes name)
{
    enum { NAME_SIZE = 16 }; /* Boot#### */
    static const char prefix[] = { 'B', 0, 'o', 0, 'o', 0, 't', 0 };

    return name.len == NAME_SIZE && !memcmp(name.data, prefix, sizeof(prefix));
}

static bool show_variable_header(struct event_text *t, struct bawn_bytes data,
                                 struct efi_variable *var)
{
    if (!efi_variable_parse(data, var)) {
        text_add(t, "malformed UEFI variable: ");
        text_guess(t, data);
        return false;
    }
    text_utf16(t, var->name);
    text_add(t, " (");
    if (is_guid(var->guid, efi_global_guid))
        text_add(t, "global");
    else if (is_guid(var->guid, efi_security_guid))
        text_add(t, "image security");
    else
        text_guid(t, var->guid);
    text_add(t, "), %zu bytes:", var->data.len);
    return true;
}

void event_text_variable(struct event_text *t, struct bawn_bytes data)
{
    struct efi_variable var;

    if (!show_variable_header(t, data, &var))
        return;
    if (!var.data.len) {
        text_add(t, " empty");
    } else if (efi_name_is(var.name, "PK") || efi_name_is(var.name, "KEK") ||
               efi_name_is(var.name, "db") || efi_name_is(var.name, "dbx")) {
        show_database(t, var.data);
    } else if (efi_name_is(var.name, "BootOrder")) {
        show_boot_order(t, var.data);
    } else if (is_boot_option(var.name)) {
        show_load_option(t, var.data);
    } else {
        text_add(t, " ");
        text_guess(t, var.data);
    }
}

/* The entry that let an image start: EFI_SIGNATURE_DATA (owner, certificate or hash); shim's
 * own entries are the value alone. PFP 3.3.4.8. */
void event_text_authority(struct event_text *t, struct bawn_bytes data)
{
    struct efi_variable var;
    struct bawn_cursor c;
    struct bawn_bytes owner, cert;
    struct x509 x509;

    if (!show_variable_header(t, data, &var))
        return;
    c = bawn_cursor_over(var.data.data, var.data.len);
    owner = event_take(&c, GUID_SIZE);
    cert = event_take(&c, bawn_cursor_left(&c));
    if (x509_parse(&x509, var.data, NULL) == BAWN_OK) {
        text_add(t, " certificate of ");
        text_ascii(t, x509.common_name);
    } else if (x509_parse(&x509, cert, NULL) == BAWN_OK) {
        text_add(t, " certificate of ");
        text_ascii(t, x509.common_name);
        text_add(t, ", owner ");
        text_guid(t, owner);
    } else {
        text_add(t, " ");
        text_guess(t, var.data);
    }
}

/* PFP 10.2.3: UEFI_IMAGE_LOAD_EVENT. */
void event_text_image(struct event_text *t, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    uint64_t location = bawn_cursor_u64(&c), length = bawn_cursor_u64(&c), path_len;

    bawn_cursor_u64(&c); /* link-time address */
    path_len = bawn_cursor_u64(&c);
    if (c.failed) {
        text_add(t, "malformed image load: ");
        text_guess(t, data);
        return;
    }
    text_add(t, "image of %llu bytes at 0x%llx", (unsigned long long)length,
             (unsigned long long)location);
    if (path_len != bawn_cursor_left(&c)) {
        text_add(t, ", malformed device path");
    } else if (path_len) {
        text_add(t, " from ");
        event_text_device_path(t, event_take(&c, path_len));
    }
}

/* PFP 10.2.5: UEFI_GPT_DATA: the partition table header (UEFI 2.10, 5.3.2), a count, entries. */
void event_text_gpt(struct event_text *t, struct bawn_bytes data)
{
    enum {
        HEADER = 92,
        DISK_GUID = 56,
        ENTRY_SIZE = 84,
        ENTRY_MIN = 128,
        NAME = 56,
        NAME_LEN = 72
    };
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len), header = c;
    struct bawn_bytes disk;
    uint32_t entry_size;
    uint64_t n;

    bawn_cursor_seek(&header, DISK_GUID);
    disk = event_take(&header, GUID_SIZE);
    bawn_cursor_seek(&header, ENTRY_SIZE);
    entry_size = bawn_cursor_u32(&header);
    bawn_cursor_take(&c, HEADER);
    n = bawn_cursor_u64(&c);
    if (c.failed || entry_size < ENTRY_MIN || n > bawn_cursor_left(&c) / entry_size) {
        text_add(t, "malformed partition table: ");
        text_guess(t, data);
        return;
    }
    text_add(t, "GPT of disk ");
    text_guid(t, disk);
    text_add(t, ", %llu partitions", (unsigned long long)n);
    for (uint64_t i = 0; i < n && !t->cut; i++) {
        struct bawn_bytes entry = event_take(&c, entry_size);
        struct bawn_cursor e = bawn_cursor_over(entry.data, entry.len);

        text_add(t, "%s", i ? ", " : ": ");
        bawn_cursor_seek(&e, GUID_SIZE);
        text_guid(t, event_take(&e, GUID_SIZE));
        bawn_cursor_seek(&e, NAME);
        text_add(t, " ");
        text_utf16(t, event_take(&e, NAME_LEN));
    }
}

static void show_blob(struct event_text *t, struct bawn_cursor *c)
{
    uint64_t base = bawn_cursor_u64(c), length = bawn_cursor_u64(c);

    if (c->failed)
        text_add(t, "malformed");
    else
        text_add(t, "%llu bytes at 0x%llx", (unsigned long long)length, (unsigned long long)base);
}

/* PFP 10.2.7: UEFI_PLATFORM_FIRMWARE_BLOB; a string from some firmware. */
void event_text_blob(struct event_text *t, struct bawn_bytes data)
{
    enum { BLOB_SIZE = 16 };
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);

    if (data.len != BLOB_SIZE)
        text_guess(t, data);
    else
        show_blob(t, &c);
}

static void show_description(struct event_text *t, struct bawn_cursor *c)
{
    text_ascii(t, event_take(c, bawn_cursor_u8(c)));
    text_add(t, ": ");
}

void event_text_blob2(struct event_text *t, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);

    show_description(t, &c);
    show_blob(t, &c);
}

static void show_tables(struct event_text *t, struct bawn_cursor *c)
{
    enum { ENTRY = 24 };
    uint64_t n = bawn_cursor_u64(c);

    if (c->failed || n > bawn_cursor_left(c) / ENTRY) {
        text_add(t, "malformed");
        return;
    }
    text_add(t, "%llu configuration tables", (unsigned long long)n);
    for (uint64_t i = 0; i < n && !t->cut; i++) {
        text_add(t, "%s", i ? ", " : ": ");
        text_guid(t, event_take(c, GUID_SIZE));
        text_add(t, " at 0x%llx", (unsigned long long)bawn_cursor_u64(c));
    }
}

/* PFP 10.2.8: UEFI_HANDOFF_TABLE_POINTERS. */
void event_text_tables(struct event_text *t, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);

    show_tables(t, &c);
}

void event_text_tables2(struct event_text *t, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);

    show_description(t, &c);
    show_tables(t, &c);
}
