// SPDX-License-Identifier: Apache-2.0
/*
 * UEFI device paths as text, for a person: the common nodes by name, others by their numbers.
 * Every node moves on by at least its header of four bytes, so the walk ends. UEFI 2.10,
 * chapter 10.
 */
#include "attest/lib/event_decode.h"

enum { NODE_HEADER = 4, NODE_END = 0x7f, END_ALL = 0xff, GUID_SIZE = 16 };

struct node_kind {
    uint8_t type, subtype;
    void (*show)(struct event_text *t, struct bawn_cursor *c);
};

static void show_pci(struct event_text *t, struct bawn_cursor *c)
{
    uint8_t function = bawn_cursor_u8(c);

    text_add(t, "Pci(0x%x,0x%x)", bawn_cursor_u8(c), function);
}

static void show_memory(struct event_text *t, struct bawn_cursor *c)
{
    uint32_t type = bawn_cursor_u32(c);
    uint64_t start = bawn_cursor_u64(c);

    text_add(t, "MemoryMapped(0x%x,0x%llx,0x%llx)", type, (unsigned long long)start,
             (unsigned long long)bawn_cursor_u64(c));
}

static void show_vendor(struct event_text *t, struct bawn_cursor *c)
{
    text_add(t, "Vendor(");
    text_guid(t, event_take(c, GUID_SIZE));
    text_add(t, ")");
}

static void show_acpi(struct event_text *t, struct bawn_cursor *c)
{
    enum { PNP0A03 = 0x0a0341d0, PNP0A08 = 0x0a0841d0 };
    uint32_t hid = bawn_cursor_u32(c), uid = bawn_cursor_u32(c);

    if (hid == PNP0A03 || hid == PNP0A08)
        text_add(t, "%s(0x%x)", hid == PNP0A03 ? "PciRoot" : "PcieRoot", uid);
    else
        text_add(t, "Acpi(0x%08x,0x%x)", hid, uid);
}

static void show_scsi(struct event_text *t, struct bawn_cursor *c)
{
    uint16_t target = bawn_cursor_u16(c);

    text_add(t, "Scsi(0x%x,0x%x)", target, bawn_cursor_u16(c));
}

static void show_usb(struct event_text *t, struct bawn_cursor *c)
{
    uint8_t port = bawn_cursor_u8(c);

    text_add(t, "USB(0x%x,0x%x)", port, bawn_cursor_u8(c));
}

static void show_mac(struct event_text *t, struct bawn_cursor *c)
{
    text_add(t, "MAC(");
    text_hex(t, event_take(c, 6));
    text_add(t, ")");
}

static void show_sata(struct event_text *t, struct bawn_cursor *c)
{
    uint16_t port = bawn_cursor_u16(c), multiplier = bawn_cursor_u16(c);

    text_add(t, "Sata(0x%x,0x%x,0x%x)", port, multiplier, bawn_cursor_u16(c));
}

static void show_nvme(struct event_text *t, struct bawn_cursor *c)
{
    uint32_t namespace = bawn_cursor_u32(c);

    text_add(t, "NVMe(0x%x,%016llx)", namespace, (unsigned long long)bawn_cursor_be(c, 8));
}

static void show_uri(struct event_text *t, struct bawn_cursor *c)
{
    text_add(t, "Uri(");
    text_ascii(t, event_take(c, bawn_cursor_left(c)));
    text_add(t, ")");
}

static void show_hard_drive(struct event_text *t, struct bawn_cursor *c)
{
    enum { FORMAT_GPT = 2, SIGNATURE_GUID = 2 };
    uint32_t partition = bawn_cursor_u32(c);
    uint64_t start = bawn_cursor_u64(c), size = bawn_cursor_u64(c);
    struct bawn_bytes signature = event_take(c, GUID_SIZE);
    uint8_t format = bawn_cursor_u8(c);

    text_add(t, "HD(%u,%s,", partition, format == FORMAT_GPT ? "GPT" : "MBR");
    if (bawn_cursor_u8(c) == SIGNATURE_GUID)
        text_guid(t, signature);
    else
        text_hex(t, (struct bawn_bytes){ signature.data, signature.len ? 4 : 0 });
    text_add(t, ",0x%llx,0x%llx)", (unsigned long long)start, (unsigned long long)size);
}

static void show_cdrom(struct event_text *t, struct bawn_cursor *c)
{
    text_add(t, "CDROM(%u)", bawn_cursor_u32(c));
}

static void show_file(struct event_text *t, struct bawn_cursor *c)
{
    text_utf16(t, event_take(c, bawn_cursor_left(c)));
}

static void show_fv_file(struct event_text *t, struct bawn_cursor *c)
{
    text_add(t, "FvFile(");
    text_guid(t, event_take(c, GUID_SIZE));
    text_add(t, ")");
}

static void show_fv(struct event_text *t, struct bawn_cursor *c)
{
    text_add(t, "Fv(");
    text_guid(t, event_take(c, GUID_SIZE));
    text_add(t, ")");
}

static void show_offset(struct event_text *t, struct bawn_cursor *c)
{
    uint64_t start;

    bawn_cursor_u32(c); /* reserved */
    start = bawn_cursor_u64(c);
    text_add(t, "Offset(0x%llx,0x%llx)", (unsigned long long)start,
             (unsigned long long)bawn_cursor_u64(c));
}

static const struct node_kind kinds[] = {
    { 1, 1, show_pci },   { 1, 3, show_memory }, { 1, 4, show_vendor },  { 2, 1, show_acpi },
    { 3, 2, show_scsi },  { 3, 5, show_usb },    { 3, 10, show_vendor }, { 3, 11, show_mac },
    { 3, 18, show_sata }, { 3, 23, show_nvme },  { 3, 24, show_uri },    { 4, 1, show_hard_drive },
    { 4, 2, show_cdrom }, { 4, 3, show_vendor }, { 4, 4, show_file },    { 4, 6, show_fv_file },
    { 4, 7, show_fv },    { 4, 8, show_offset },
};

static void show_node(struct event_text *t, uint8_t type, uint8_t subtype, struct bawn_cursor *c)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].type == type && kinds[i].subtype == subtype) {
            kinds[i].show(t, c);
            if (c->failed)
                text_add(t, "(malformed)");
            return;
        }
    }
    text_add(t, "Path(%u,%u,%zu bytes)", type, subtype, bawn_cursor_left(c));
}

void event_text_device_path(struct event_text *t, struct bawn_bytes path)
{
    struct bawn_cursor c = bawn_cursor_over(path.data, path.len);
    bool first = true;

    while (bawn_cursor_left(&c) && !t->cut) {
        uint8_t type = bawn_cursor_u8(&c), subtype = bawn_cursor_u8(&c);
        uint16_t length = bawn_cursor_u16(&c);
        struct bawn_bytes body;
        struct bawn_cursor b;

        if (type == NODE_END && subtype == END_ALL && !c.failed)
            return;
        if (length < NODE_HEADER)
            c.failed = true;
        body = event_take(&c, length - NODE_HEADER);
        if (c.failed) {
            text_add(t, "(malformed device path)");
            return;
        }
        b = bawn_cursor_over(body.data, body.len);
        if (type == NODE_END) {
            text_add(t, ",");
            first = true;
            continue;
        }
        if (!first)
            text_add(t, "/");
        first = false;
        show_node(t, type, subtype, &b);
    }
}
