// SPDX-License-Identifier: Apache-2.0
/*
 * The guest's ACPI tables (ACPI 6.5): hardware-reduced, one PCI host bridge, the fixed devices of
 * launch.h. Depends on the checked configuration alone: how many vCPUs there are and may be, and
 * whether there are a COM1, hot-plug and a TPM.
 */
#include <stdio.h>
#include <string.h>

#include "launch/aml.h"
#include "launch/internal.h"

#define HEADER 36
#define LENGTH_AT 4
#define CHECKSUM_AT 9
#define RSDP_SIZE 36
#define RSDP_V1_SIZE 20
#define RSDP_V1_CHECKSUM_AT 8
#define RSDP_CHECKSUM_AT 32
#define TABLE_ALIGN 16

#define OEM_ID "BAWN  "
#define OEM_TABLE_ID "BAWNVM  "
#define CREATOR_ID "BAWN"

/* FADT, 5.2.9 */
#define FADT_SIZE 276
#define FADT_DSDT_AT 40
#define FADT_BOOT_ARCH_AT 109
#define FADT_BOOT_ARCH_NO_VGA (1u << 2)
#define FADT_FLAGS_AT 112
#define FADT_FLAG_WBINVD (1u << 0)
#define FADT_FLAG_NO_POWER_BUTTON (1u << 4)
#define FADT_FLAG_NO_SLEEP_BUTTON (1u << 5)
#define FADT_FLAG_RESET_REG (1u << 10)
#define FADT_FLAG_HW_REDUCED (1u << 20)
#define FADT_RESET_REG_AT 116
#define FADT_RESET_VALUE_AT 128
#define FADT_MINOR_AT 131
#define FADT_X_DSDT_AT 140
#define FADT_SLEEP_CONTROL_AT 244
#define FADT_SLEEP_STATUS_AT 256
#define S5_SLEEP_TYPE 5
#define BUTTON_PRESSED 0x80
#define DEVICE_CHECK 1 /* 5.6.6, table 5.168: look at this device; */
#define EJECT_REQUEST 3

_Static_assert(BAWN_POWER_OFF == (S5_SLEEP_TYPE << 2 | 1 << 5), "SLP_TYP and SLP_EN, 4.8.3.7");

#define TPM2_START_CRB 7 /* TCG ACPI specification 1.4, table 9 */

/* MADT, table 5.22: a local APIC's flags. */
#define LAPIC_ENABLED 1
#define LAPIC_ONLINE_CAPABLE 2 /* it may come later */
#define LAPIC_SIZE 8

#define PRESENT 0xf /* _STA, 6.3.7: present, enabled, shown, working */

#define PCI_SLOTS 32
#define PCI_PINS 4
#define PCI_CONFIG_PORT 0xcf8

static uint8_t checksum(const uint8_t *p, size_t n)
{
    uint8_t sum = 0;

    while (n--)
        sum = (uint8_t)(sum + *p++);
    return (uint8_t)-sum;
}

static void put(struct aml *a, size_t at, uint64_t v, unsigned n)
{
    /* After an overflow at may lie beyond what was written. */
    struct aml over = { .buf = a->buf, .len = at, .cap = a->len, .overflow = a->overflow };

    aml_le(&over, v, n);
    a->overflow |= over.overflow;
}

static void align(struct aml *a)
{
    while (!a->overflow && a->len % TABLE_ALIGN)
        aml_le(a, 0, 1);
}

/* Starts a table with the common header (5.2.6); length and checksum are set by end_table. */
static size_t begin_table(struct aml *a, const char *signature, uint8_t revision)
{
    size_t at;

    align(a);
    at = a->len;
    aml_raw(a, signature, 4);
    aml_le(a, 0, 4);
    aml_le(a, revision, 1);
    aml_le(a, 0, 1);
    aml_raw(a, OEM_ID, 6);
    aml_raw(a, OEM_TABLE_ID, 8);
    aml_le(a, 1, 4);
    aml_raw(a, CREATOR_ID, 4);
    aml_le(a, 1, 4);
    return at;
}

static void end_table(struct aml *a, size_t at)
{
    if (a->overflow)
        return;
    put(a, at + LENGTH_AT, a->len - at, 4);
    a->buf[at + CHECKSUM_AT] = checksum(a->buf + at, a->len - at);
}

/* _PRT: each slot's four pins to the four GSIs, turned by one from slot to slot. */
static void write_prt(struct aml *a)
{
    size_t prt;

    aml_name(a, "_PRT");
    prt = aml_package(a, PCI_SLOTS * PCI_PINS);
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        for (unsigned pin = 0; pin < PCI_PINS; pin++) {
            size_t entry = aml_package(a, 4);

            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_int(a, 0);
            aml_int(a, BAWN_PCI_GSI(slot, pin));
            aml_close(a, entry);
        }
    }
    aml_close(a, prt);
}

/* Of what this bit of hot-plug's registers, counted through the banks, stands for. */
static void plug_name(unsigned bit, char seg[5])
{
    bool cpu = bit >= BAWN_HOTPLUG_CPUS;

    snprintf(seg, 5, "%c%02X_", cpu ? 'C' : 'S', (cpu ? bit - BAWN_HOTPLUG_CPUS : bit) & 0xff);
}

/* _EJ0 (6.3.3): the guest has let go of it. */
static void write_eject(struct aml *a, unsigned bit, const char *gone)
{
    size_t method = aml_method(a, "_EJ0", 1);

    aml_store(a, 1u << bit % 32, gone);
    aml_close(a, method);
}

/* One that a device can come to, and leave by _EJ0 (6.3.3). What is there, the bus says. */
static void write_slot(struct aml *a, unsigned slot)
{
    size_t dev;
    char seg[5];

    plug_name(slot, seg);
    dev = aml_device(a, seg);
    aml_name(a, "_ADR");
    aml_int(a, slot << 16);
    aml_name(a, "_SUN");
    aml_int(a, slot);
    write_eject(a, slot, "SGON");
    aml_close(a, dev);
}

/* Takes a register, and tells of each bit from first to the one before end that is set in it. */
static void write_scan(struct aml *a, const char *reg, uint8_t event, unsigned first, unsigned end)
{
    char seg[5];

    aml_load(a, reg, AML_LOCAL0);
    for (unsigned bit = first; bit < end; bit++) {
        size_t then = aml_if_and(a, AML_LOCAL0, 1u << bit % 32);

        plug_name(bit, seg);
        aml_notify(a, seg, event);
        aml_close(a, then);
    }
}

static void write_slots(struct aml *a)
{
    static const char *const regs[] = { "SCAM", "SGO_", "SGON" };
    size_t method;

    _Static_assert(BAWN_HOTPLUG_CAME == 0 && BAWN_HOTPLUG_GO == 4 && BAWN_HOTPLUG_GONE == 8,
                   "their order");
    aml_ports(a, "SREG", BAWN_HOTPLUG_PORT, BAWN_HOTPLUG_SIZE);
    aml_fields(a, "SREG", regs, ARRAY_SIZE(regs));
    for (unsigned slot = BAWN_SLOT_DISK; slot < BAWN_SLOT_END; slot++)
        write_slot(a, slot);
    method = aml_method(a, "SCAN", 0);
    write_scan(a, "SCAM", DEVICE_CHECK, BAWN_SLOT_DISK, BAWN_SLOT_END);
    write_scan(a, "SGO_", EJECT_REQUEST, BAWN_SLOT_DISK, BAWN_SLOT_END);
    aml_close(a, method);
}

static bool cpus_come(const struct bawn_vm_config *cfg)
{
    return bawn_vm_config_max_vcpus(cfg) > cfg->vcpus;
}

/* Names of the registers, four of each bank. */
static const char *const cpu_regs[] = { "CCA0", "CGO0", "CGN0", "CHE0",
                                        "CCA1", "CGO1", "CGN1", "CHE1" };
enum { CPU_CAME, CPU_GO, CPU_GONE, CPU_HERE, CPU_REGS };

static void put_lapic(uint8_t lapic[LAPIC_SIZE], unsigned cpu, uint8_t flags)
{
    const uint8_t entry[LAPIC_SIZE] = { 0, LAPIC_SIZE, (uint8_t)cpu, (uint8_t)cpu, flags };

    memcpy(lapic, entry, sizeof(entry));
}

/* A processor (8.4): there if its bit says so, and then with an APIC that is enabled. The first one
 * stays. */
static void write_cpu(struct aml *a, unsigned cpu)
{
    const char *const *reg = cpu_regs + cpu / 32 * CPU_REGS;
    uint8_t lapic[LAPIC_SIZE];
    size_t dev, method, then;
    char seg[5];

    plug_name(BAWN_HOTPLUG_CPUS + cpu, seg);
    put_lapic(lapic, cpu, LAPIC_ENABLED);
    dev = aml_device(a, seg);
    aml_name(a, "_HID");
    aml_string(a, "ACPI0007");
    aml_name(a, "_UID");
    aml_int(a, cpu);
    aml_name(a, "_MAT");
    aml_buffer(a, lapic, sizeof(lapic));
    method = aml_method(a, "_STA", 0);
    aml_load(a, reg[CPU_HERE], AML_LOCAL0);
    then = aml_if_and(a, AML_LOCAL0, 1u << cpu % 32);
    aml_return(a, PRESENT);
    aml_close(a, then);
    aml_return(a, 0);
    aml_close(a, method);
    if (cpu)
        write_eject(a, BAWN_HOTPLUG_CPUS + cpu, reg[CPU_GONE]);
    aml_close(a, dev);
}

/* All processors in a container, where there may be more of them. */
static void write_cpus(struct aml *a, unsigned nr)
{
    size_t dev = aml_device(a, "CPUS"), method;

    _Static_assert(BAWN_HOTPLUG_HERE == 12 && BAWN_HOTPLUG_BANK == 16, "their order");
    aml_name(a, "_HID");
    aml_string(a, "ACPI0010");
    aml_ports(a, "CREG", BAWN_HOTPLUG_PORT + BAWN_HOTPLUG_BANK, 2 * BAWN_HOTPLUG_BANK);
    aml_fields(a, "CREG", cpu_regs, ARRAY_SIZE(cpu_regs));
    for (unsigned cpu = 0; cpu < nr; cpu++)
        write_cpu(a, cpu);
    method = aml_method(a, "SCAN", 0);
    for (unsigned cpu = 0; cpu < nr; cpu += 32) {
        unsigned first = BAWN_HOTPLUG_CPUS + cpu;
        unsigned end = BAWN_HOTPLUG_CPUS + (nr - cpu < 32 ? nr : cpu + 32);
        const char *const *reg = cpu_regs + cpu / 32 * CPU_REGS;

        write_scan(a, reg[CPU_CAME], DEVICE_CHECK, first, end);
        write_scan(a, reg[CPU_GO], EJECT_REQUEST, first, end);
    }
    aml_close(a, method);
    aml_close(a, dev);
}

static void write_host_bridge(struct aml *a, bool hotplug)
{
    size_t dev = aml_device(a, "PCI0");
    struct aml_resources res;

    aml_name(a, "_HID");
    aml_eisaid(a, "PNP0A08");
    aml_name(a, "_CID");
    aml_eisaid(a, "PNP0A03");
    aml_name(a, "_UID");
    aml_int(a, 0);
    aml_name(a, "_SEG");
    aml_int(a, 0);
    aml_name(a, "_BBN");
    aml_int(a, 0);
    aml_name(a, "_CRS");
    res = aml_resources_begin(a);
    aml_res_window(a, AML_WINDOW_BUS, 2, 0, 0);
    aml_res_io(a, PCI_CONFIG_PORT, 8);
    aml_res_window(a, AML_WINDOW_IO, 2, 0, PCI_CONFIG_PORT - 1);
    aml_res_window(a, AML_WINDOW_IO, 2, PCI_CONFIG_PORT + 8, 0xffff);
    aml_res_window(a, AML_WINDOW_MEMORY, 4, (uint32_t)BAWN_PCI_MMIO_BASE,
                   (uint32_t)(BAWN_PCI_MMIO_BASE + BAWN_PCI_MMIO_SIZE - 1));
    aml_resources_end(a, res);
    write_prt(a);
    if (hotplug)
        write_slots(a);
    aml_close(a, dev);
}

/* What nothing else claims: the ECAM window and the ports of power and hot-plug. */
static void write_motherboard(struct aml *a, const struct bawn_vm_config *cfg)
{
    size_t dev = aml_device(a, "MBRD");
    struct aml_resources res;

    aml_name(a, "_HID");
    aml_eisaid(a, "PNP0C02");
    aml_name(a, "_CRS");
    res = aml_resources_begin(a);
    aml_res_memory(a, (uint32_t)BAWN_ECAM_BASE, (uint32_t)BAWN_ECAM_SIZE);
    aml_res_io(a, BAWN_POWER_PORT, 2);
    if (bawn_vm_config_hotplug(cfg))
        aml_res_io(a, BAWN_HOTPLUG_PORT,
                   cpus_come(cfg) ? BAWN_HOTPLUG_SIZE_CPUS : BAWN_HOTPLUG_SIZE);
    aml_resources_end(a, res);
    aml_close(a, dev);
}

/* The devices at fixed ports. */
static const struct isa_device {
    const char *seg;
    const char *eisaid; /* or, when NULL, */
    const char *hid;    /* a string */
    uint16_t port;
    uint8_t ports;
    uint8_t gsi; /* 0: none */
    bool is_serial;
} isa_devices[] = {
    { "COM1", "PNP0501", NULL, BAWN_SERIAL_PORT, 8, BAWN_SERIAL_GSI, true },
    { "RTC_", "PNP0B00", NULL, BAWN_RTC_PORT, 2, BAWN_RTC_GSI, false },
    { "PEVT", NULL, "QEMU0001", BAWN_PANIC_PORT, 1, 0, false },
};

static void write_isa_device(struct aml *a, const struct isa_device *d)
{
    size_t dev = aml_device(a, d->seg);
    struct aml_resources res;

    aml_name(a, "_HID");
    if (d->eisaid)
        aml_eisaid(a, d->eisaid);
    else
        aml_string(a, d->hid);
    aml_name(a, "_STA");
    aml_int(a, PRESENT);
    aml_name(a, "_CRS");
    res = aml_resources_begin(a);
    aml_res_io(a, d->port, d->ports);
    if (d->gsi)
        aml_res_irq(a, d->gsi);
    aml_resources_end(a, res);
    aml_close(a, dev);
}

/* What an event's interrupt means. */
static void write_events(struct aml *a, const struct bawn_vm_config *cfg)
{
    size_t method = aml_method(a, "_EVT", 1), branch;
    bool hotplug = bawn_vm_config_hotplug(cfg);

    if (hotplug) {
        branch = aml_if_equal(a, AML_ARG0, BAWN_HOTPLUG_GSI);
        aml_call(a, "PCI0", "SCAN");
        if (cpus_come(cfg))
            aml_call(a, "CPUS", "SCAN");
        aml_close(a, branch);
        branch = aml_else(a);
    }
    aml_notify(a, "PWRB", BUTTON_PRESSED);
    if (hotplug)
        aml_close(a, branch);
    aml_close(a, method);
}

/* A control method power button (4.8.2.2.1.2: 0x80 says that it was pressed), of which a generic
 * event device (5.6.9) tells; and of slots and processors. */
static void write_button(struct aml *a, const struct bawn_vm_config *cfg)
{
    size_t dev = aml_device(a, "PWRB");
    struct aml_resources res;

    aml_name(a, "_HID");
    aml_eisaid(a, "PNP0C0C");
    aml_close(a, dev);
    dev = aml_device(a, "GED_");
    aml_name(a, "_HID");
    aml_string(a, "ACPI0013");
    aml_name(a, "_CRS");
    res = aml_resources_begin(a);
    aml_res_irq(a, BAWN_BUTTON_GSI);
    if (bawn_vm_config_hotplug(cfg))
        aml_res_level(a, BAWN_HOTPLUG_GSI);
    aml_resources_end(a, res);
    write_events(a, cfg);
    aml_close(a, dev);
}

/* TCG ACPI specification 1.4, 8: the TPM's name, and where its registers are. */
static void write_tpm_device(struct aml *a)
{
    size_t dev = aml_device(a, "TPM_");
    struct aml_resources res;

    aml_name(a, "_HID");
    aml_string(a, "MSFT0101");
    aml_name(a, "_STA");
    aml_int(a, PRESENT);
    aml_name(a, "_CRS");
    res = aml_resources_begin(a);
    aml_res_memory(a, (uint32_t)BAWN_TPM_BASE, (uint32_t)BAWN_TPM_SIZE);
    aml_resources_end(a, res);
    aml_close(a, dev);
}

static size_t write_dsdt(struct aml *a, const struct bawn_vm_config *cfg)
{
    size_t at = begin_table(a, "DSDT", 2);
    size_t scope, s5;

    aml_name(a, "_S5_");
    s5 = aml_package(a, 1);
    aml_int(a, S5_SLEEP_TYPE);
    aml_close(a, s5);
    scope = aml_scope(a, "\\_SB_");
    write_host_bridge(a, bawn_vm_config_hotplug(cfg));
    if (cpus_come(cfg))
        write_cpus(a, bawn_vm_config_max_vcpus(cfg));
    write_motherboard(a, cfg);
    for (size_t i = 0; i < ARRAY_SIZE(isa_devices); i++)
        if (!isa_devices[i].is_serial || cfg->serial.mode != BAWN_STREAM_OFF)
            write_isa_device(a, &isa_devices[i]);
    write_button(a, cfg);
    if (cfg->tpm)
        write_tpm_device(a);
    aml_close(a, scope);
    end_table(a, at);
    return at;
}

/* A Generic Address Structure (5.2.3.2) for a byte-wide I/O port. */
static void put_port(struct aml *a, size_t at, uint16_t port)
{
    put(a, at, 1, 1);     /* system I/O */
    put(a, at + 1, 8, 1); /* bits wide */
    put(a, at + 3, 1, 1); /* byte access */
    put(a, at + 4, port, 8);
}

static size_t write_fadt(struct aml *a, uint64_t dsdt)
{
    static const uint8_t zero[FADT_SIZE - HEADER];
    size_t at = begin_table(a, "FACP", 6);

    aml_raw(a, zero, sizeof(zero));
    put(a, at + FADT_DSDT_AT, dsdt, 4);
    put(a, at + FADT_BOOT_ARCH_AT, FADT_BOOT_ARCH_NO_VGA, 2);
    put(a, at + FADT_FLAGS_AT,
        FADT_FLAG_WBINVD | FADT_FLAG_NO_POWER_BUTTON | FADT_FLAG_NO_SLEEP_BUTTON |
            FADT_FLAG_RESET_REG | FADT_FLAG_HW_REDUCED,
        4);
    put_port(a, at + FADT_RESET_REG_AT, BAWN_RESET_PORT);
    put(a, at + FADT_RESET_VALUE_AT, BAWN_RESET_VALUE, 1);
    put(a, at + FADT_MINOR_AT, 3, 1);
    put(a, at + FADT_X_DSDT_AT, dsdt, 8);
    put_port(a, at + FADT_SLEEP_CONTROL_AT, BAWN_POWER_PORT);
    put_port(a, at + FADT_SLEEP_STATUS_AT, BAWN_POWER_STATUS_PORT);
    end_table(a, at);
    return at;
}

/*
 * MADT (5.2.12). No interrupt source override: ISA interrupts 4 and 8 are the GSIs of the same
 * number with ISA's own polarity and trigger, and there is no 8254 whose interrupt moves to pin 2.
 */
static size_t write_madt(struct aml *a, const struct bawn_vm_config *cfg)
{
    size_t at = begin_table(a, "APIC", 5);
    uint8_t lapic[LAPIC_SIZE];

    aml_le(a, BAWN_LAPIC_BASE, 4);
    aml_le(a, 0, 4); /* no 8259 */
    for (unsigned i = 0; i < bawn_vm_config_max_vcpus(cfg); i++) {
        put_lapic(lapic, i, i < cfg->vcpus ? LAPIC_ENABLED : LAPIC_ONLINE_CAPABLE);
        aml_raw(a, lapic, sizeof(lapic));
    }
    aml_le(a, 1, 1); /* IOAPIC */
    aml_le(a, 12, 1);
    aml_le(a, 0, 2); /* id, reserved */
    aml_le(a, BAWN_IOAPIC_BASE, 4);
    aml_le(a, 0, 4); /* first GSI */
    aml_le(a, 4, 1); /* NMI: every processor's LINT1 */
    aml_le(a, 6, 1);
    aml_le(a, 0xff, 1);
    aml_le(a, 0, 2);
    aml_le(a, 1, 1);
    end_table(a, at);
    return at;
}

/* MCFG (PCI firmware specification 3.3, 4.1.2): segment 0, bus 0. */
static size_t write_mcfg(struct aml *a)
{
    size_t at = begin_table(a, "MCFG", 1);

    aml_le(a, 0, 8);
    aml_le(a, BAWN_ECAM_BASE, 8);
    aml_le(a, 0, 8); /* segment, first bus, last bus, reserved */
    end_table(a, at);
    return at;
}

/* TPM2 (TCG ACPI specification 1.4, 7.3): a client platform's, without an event log. */
static size_t write_tpm2(struct aml *a)
{
    static const uint8_t none[12 + 12]; /* parameters of the start method; the log's place */
    size_t at = begin_table(a, "TPM2", 4);

    aml_le(a, 0, 4); /* platform class, reserved */
    aml_le(a, BAWN_TPM_BASE + BAWN_TPM_CONTROL, 8);
    aml_le(a, TPM2_START_CRB, 4);
    aml_raw(a, none, sizeof(none));
    end_table(a, at);
    return at;
}

static void write_rsdp(struct aml *a, uint64_t xsdt)
{
    memcpy(a->buf, "RSD PTR ", 8);
    memcpy(a->buf + 9, OEM_ID, 6);
    put(a, 15, 2, 1); /* revision */
    put(a, 20, RSDP_SIZE, 4);
    put(a, 24, xsdt, 8);
    a->buf[RSDP_V1_CHECKSUM_AT] = checksum(a->buf, RSDP_V1_SIZE);
    a->buf[RSDP_CHECKSUM_AT] = checksum(a->buf, RSDP_SIZE);
}

enum bawn_status acpi_build(uint8_t *buf, size_t max, uint64_t gpa,
                            const struct bawn_vm_config *cfg, size_t *len, struct bawn_error *err)
{
    struct aml a = { .buf = buf, .len = RSDP_SIZE, .cap = max };
    size_t dsdt, table[4], xsdt, nr = 3;

    dsdt = write_dsdt(&a, cfg);
    table[0] = write_fadt(&a, gpa + dsdt);
    table[1] = write_madt(&a, cfg);
    table[2] = write_mcfg(&a);
    if (cfg->tpm)
        table[nr++] = write_tpm2(&a);
    xsdt = begin_table(&a, "XSDT", 1);
    for (size_t i = 0; i < nr; i++)
        aml_le(&a, gpa + table[i], 8);
    end_table(&a, xsdt);
    write_rsdp(&a, gpa + xsdt);
    if (a.overflow)
        return bawn_fail(err, BAWN_E_INTERNAL, "the ACPI tables exceed %zu bytes", max);
    *len = a.len;
    return BAWN_OK;
}

enum bawn_status acpi_plan(struct bawn_launch_plan *plan, const struct bawn_vm_config *cfg,
                           struct bawn_error *err)
{
    uint8_t *buf = plan_alloc(plan, LOW_ACPI_MAX);
    size_t len = 0;
    enum bawn_status st;

    if (!buf)
        return bawn_fail(err, BAWN_E_NOMEM, "out of memory");
    st = acpi_build(buf, LOW_ACPI_MAX, LOW_ACPI, cfg, &len, err);
    if (st != BAWN_OK)
        return st;
    return plan_add(plan, BAWN_MEASURE_ACPI, LOW_ACPI, page_up(len), buf, len, err);
}
