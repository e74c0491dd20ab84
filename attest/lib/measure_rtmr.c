// SPDX-License-Identifier: Apache-2.0
/*
 * The run-time registers of a TD whose TDVF starts a kernel directly: what TDVF and the kernel's
 * EFI stub measure, in order. edk2: OvmfPkg/Tcg/TdTcg2Dxe, OvmfPkg/Library/
 * GenericQemuLoadImageLib; Linux: drivers/firmware/efi/libstub/efi-stub-helper.c. The kernel is
 * hostile.
 */
#include "attest/lib/pe.h"

#include <endian.h>
#include <string.h>

/* TCG PC Client platform firmware profile 1.06, 10.4.1. */
#define EV_SEPARATOR 0x4
#define EV_EVENT_TAG 0x6
#define EV_EFI_BOOT_SERVICES_APPLICATION 0x80000003u
#define EV_EFI_ACTION 0x80000007u

/* ---- QEMU's hand in the kernel ---- */

/* Linux, Documentation/arch/x86/boot.rst; QEMU, hw/i386/x86-common.c, x86_load_linux(). */
#define SETUP_MAGIC 0x202
#define SETUP_VERSION 0x206
#define SETUP_TYPE_OF_LOADER 0x210
#define SETUP_LOADFLAGS 0x211
#define SETUP_RAMDISK_IMAGE 0x218
#define SETUP_RAMDISK_SIZE 0x21c
#define SETUP_HEAP_END 0x224
#define SETUP_CMD_LINE 0x228
#define SETUP_INITRD_MAX 0x22c
#define SETUP_XLOADFLAGS 0x236
#define SETUP_END 0x238
#define PROTOCOL_2_12 0x20c
#define LOADED_HIGH 0x01
#define CAN_USE_HEAP 0x80
#define CAN_BE_LOADED_ABOVE_4G 0x02
#define QEMU_LOADER 0xb0
#define QEMU_CMDLINE 0x20000u
#define QEMU_HEAP_END \
    (0x10000u - 0x200u)            /* below the command line, from the setup code at 64 KiB */
#define QEMU_ACPI_DATA 0x28000u    /* kept free at the end of low memory */
#define Q35_LOW_MEMORY 0xb0000000u /* with as much memory or more, low memory is 2 GiB */
#define Q35_LOW_SPLIT 0x80000000u

static uint32_t get_le(const uint8_t *head, unsigned off, unsigned n)
{
    struct bawn_cursor c = bawn_cursor_over(head, SETUP_END);

    bawn_cursor_seek(&c, off);
    return (uint32_t)bawn_cursor_le(&c, n);
}

static void put_le32(uint8_t *head, unsigned off, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        head[off + i] = (uint8_t)(v >> (8 * i));
}

static enum bawn_status place_initrd(uint8_t *head, const struct bawn_tdx_boot *boot,
                                     struct bawn_error *err)
{
    uint64_t low = boot->memory >= Q35_LOW_MEMORY ? Q35_LOW_SPLIT : boot->memory;
    uint64_t max = UINT32_MAX;

    if (!(get_le(head, SETUP_XLOADFLAGS, 2) & CAN_BE_LOADED_ABOVE_4G))
        max = get_le(head, SETUP_INITRD_MAX, 4);
    if (low <= QEMU_ACPI_DATA)
        low = QEMU_ACPI_DATA + 1;
    if (max >= low - QEMU_ACPI_DATA)
        max = low - QEMU_ACPI_DATA - 1;
    if (boot->initrd_size >= max)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "initrd: %ju bytes do not fit below address 0x%jx in 0x%jx bytes of "
                         "memory",
                         (uintmax_t)boot->initrd_size, (uintmax_t)max, (uintmax_t)boot->memory);
    put_le32(head, SETUP_RAMDISK_IMAGE, (uint32_t)((max - boot->initrd_size) & ~4095ull));
    put_le32(head, SETUP_RAMDISK_SIZE, (uint32_t)boot->initrd_size);
    return BAWN_OK;
}

/* head is the kernel's first SETUP_END bytes, and becomes what QEMU makes of them. */
static enum bawn_status patch_setup(uint8_t *head, const struct bawn_tdx_boot *boot,
                                    struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(boot->kernel.data, boot->kernel.len);
    const uint8_t *setup = bawn_cursor_take(&c, SETUP_END);

    if (!setup)
        return bawn_fail(err, BAWN_E_FORMAT, "kernel: %zu bytes, too short for a bzImage",
                         boot->kernel.len);
    memcpy(head, setup, SETUP_END);
    if (memcmp(head + SETUP_MAGIC, "HdrS", 4) != 0 ||
        get_le(head, SETUP_VERSION, 2) < PROTOCOL_2_12 || !(head[SETUP_LOADFLAGS] & LOADED_HIGH))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "kernel: not a bzImage of boot protocol 2.12 or later");
    if (boot->cmdline && strstr(boot->cmdline, "vga="))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "the command line has vga=, which QEMU writes into the kernel: not "
                         "predicted");
    put_le32(head, SETUP_CMD_LINE, QEMU_CMDLINE);
    head[SETUP_TYPE_OF_LOADER] = QEMU_LOADER;
    head[SETUP_LOADFLAGS] |= CAN_USE_HEAP;
    put_le32(head, SETUP_HEAP_END, QEMU_HEAP_END);
    return boot->initrd_size ? place_initrd(head, boot, err) : BAWN_OK;
}

/* ---- Events ---- */

static struct bawn_tdx_event *add(struct bawn_tdx_prediction *p, unsigned rtmr, uint32_t type,
                                  const char *what)
{
    struct bawn_tdx_event *e = &p->events[p->n++];

    *e = (struct bawn_tdx_event){ .rtmr = rtmr, .type = type, .what = what };
    return e;
}

static void add_action(struct bawn_tdx_prediction *p, struct hasher *h, const char *action)
{
    struct bawn_tdx_event *e = add(p, 1, EV_EFI_ACTION, action);

    hasher_start(h);
    hasher_add(h, action, strlen(action));
    hasher_end(h, e->digest);
}

/* The stub's LoadOptions: TDVF widens each byte to 16 bits and ends with a zero. */
static void add_load_options(struct bawn_tdx_prediction *p, struct hasher *h,
                             const struct bawn_tdx_boot *boot)
{
    const char *parts[] = { boot->cmdline ? boot->cmdline : "",
                            boot->initrd_size ? " initrd=initrd" : "" };
    struct bawn_tdx_event *e;

    if (!parts[0][0] && !parts[1][0])
        return; /* the stub measures no empty options */
    e = add(p, 2, EV_EVENT_TAG, "LOADED_IMAGE::LoadOptions");
    hasher_start(h);
    for (unsigned i = 0; i < 2; i++) {
        for (const char *s = parts[i]; *s; s++) {
            const uint8_t wide[2] = { (uint8_t)*s, 0 };

            hasher_add(h, wide, sizeof(wide));
        }
    }
    hasher_zeros(h, 2);
    hasher_end(h, e->digest);
}

/* RTMR := SHA-384(RTMR || digest): Intel 348549, 12.2.2. */
static void replay(struct bawn_tdx_prediction *p, struct hasher *h)
{
    for (size_t i = 0; i < p->n; i++) {
        uint8_t *rtmr = p->rtmr[p->events[i].rtmr];

        hasher_start(h);
        hasher_add(h, rtmr, BAWN_TDX_DIGEST_SIZE);
        hasher_add(h, p->events[i].digest, BAWN_TDX_DIGEST_SIZE);
        hasher_end(h, rtmr);
    }
}

enum bawn_status bawn_tdx_predict(const struct bawn_tdx_boot *boot, struct bawn_tdx_prediction *out,
                                  struct bawn_error *err)
{
    struct pe_source kernel = { .image = boot->kernel };
    uint8_t head[SETUP_END];
    struct hasher h;
    enum bawn_status st = BAWN_OK;

    memset(out, 0, sizeof(*out));
    if (boot->memory) {
        st = patch_setup(head, boot, err);
        kernel.head = (struct bawn_bytes){ head, sizeof(head) };
    }
    /* TDVF loads the image, then says that it is ready to boot, then starts it. */
    if (st == BAWN_OK)
        st = pe_digest(&kernel,
                       add(out, 1, EV_EFI_BOOT_SERVICES_APPLICATION, "kernel image")->digest, err);
    if (st == BAWN_OK)
        st = hasher_open(&h, "SHA384", err);
    if (st != BAWN_OK)
        return st;
    add_action(out, &h, "Calling EFI Application from Boot Option");
    hasher_start(&h);
    hasher_zeros(&h, 4);
    hasher_end(&h, add(out, 1, EV_SEPARATOR, "separator")->digest);
    add_load_options(out, &h, boot);
    if (boot->initrd_size)
        memcpy(add(out, 2, EV_EVENT_TAG, "Linux initrd")->digest, boot->initrd_digest,
               BAWN_TDX_DIGEST_SIZE);
    add_action(out, &h, "Exit Boot Services Invocation");
    add_action(out, &h, "Exit Boot Services Returned with Success");
    replay(out, &h);
    return hasher_close(&h, err);
}
