/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a VM's configuration to what stands in guest memory and in the vCPUs before the first
 * instruction: one pure computation, used by the VMM (which places it) and by bawn-measure
 * (which predicts the digest). Deterministic: the same inputs give the same bytes.
 * Trusts nothing of the configuration, the kernel image or the initrd.
 */
#ifndef BAWN_LAUNCH_H
#define BAWN_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/kvm.h>

#include "bawn/measure.h"
#include "bawn/measure_launch.h"
#include "bawn/status.h"

#define BAWN_MEM_MIN (64ull << 20)
#define BAWN_MEM_MAX (64ull << 30)
#define BAWN_MEM_ALIGN (2ull << 20)
#define BAWN_MAX_VCPUS 64

/* The fixed platform that the ACPI tables describe and the VMM's devices serve. */
#define BAWN_HOLE_START 0xc0000000ull    /* RAM below 4 GiB ends here at the latest */
#define BAWN_PCI_MMIO_BASE 0xc0000000ull /* 32-bit BARs */
#define BAWN_PCI_MMIO_SIZE 0x20000000ull
#define BAWN_ECAM_BASE 0xe0000000ull /* one bus: 1 MiB */
#define BAWN_ECAM_SIZE 0x00100000ull
#define BAWN_IOAPIC_BASE 0xfec00000ull
#define BAWN_TPM_BASE 0xfed40000ull /* CRB, locality 0 alone (TCG PC client PTP 1.06, 6.5.2) */
#define BAWN_TPM_SIZE 0x1000ull
#define BAWN_TPM_CONTROL 0x40 /* of it, the control area */
#define BAWN_LAPIC_BASE 0xfee00000ull
#define BAWN_HIGH_RAM 0x100000000ull
#define BAWN_IOAPIC_PINS 24
/* The GSI of a PCI function's INTx line; pin 0 is INTA. Level-triggered. */
#define BAWN_PCI_GSI_BASE 16
#define BAWN_PCI_GSI(slot, pin) (BAWN_PCI_GSI_BASE + ((slot) + (pin)) % 4)
#define BAWN_SERIAL_PORT 0x3f8
#define BAWN_SERIAL_GSI 4
#define BAWN_BUTTON_GSI 20 /* an edge: the power button was pressed */
/* PCI slots that hot-plug serves: the first of the disks', the first of the networks', the end. */
#define BAWN_SLOT_DISK 4u
#define BAWN_SLOT_NET (BAWN_SLOT_DISK + BAWN_MAX_DISKS)
#define BAWN_SLOT_END (BAWN_SLOT_NET + BAWN_MAX_NETS)
/* Hot-plug's registers, ports of 32 bits: a bank with a bit for each slot and, where vCPUs come and
 * go, two banks with a bit for each of those. */
#define BAWN_HOTPLUG_PORT 0x610
#define BAWN_HOTPLUG_BANK 16
#define BAWN_HOTPLUG_BANKS 3
#define BAWN_HOTPLUG_CPUS 32u /* vCPU 0's bit, counted through the banks */
#define BAWN_HOTPLUG_SIZE 12  /* without vCPUs */
#define BAWN_HOTPLUG_SIZE_CPUS (BAWN_HOTPLUG_BANKS * BAWN_HOTPLUG_BANK)
#define BAWN_HOTPLUG_CAME 0  /* reading takes: something is there that was not */
#define BAWN_HOTPLUG_GO 4    /* reading takes: the guest is asked to let go of something */
#define BAWN_HOTPLUG_GONE 8  /* writing: it has */
#define BAWN_HOTPLUG_HERE 12 /* which vCPUs are there */
#define BAWN_HOTPLUG_GSI 21  /* a level: one of the first two is not zero */
#define BAWN_RTC_PORT 0x70
#define BAWN_RTC_GSI 8
/* ACPI fixed hardware is absent (HW-reduced): the sleep and reset registers are these ports. */
#define BAWN_POWER_PORT 0x600        /* write: ACPI sleep control register, a byte */
#define BAWN_POWER_OFF 0x34          /* its value for S5: SLP_TYP 5 at bits 4:2, SLP_EN bit 5 */
#define BAWN_POWER_STATUS_PORT 0x601 /* reads 0, writes have no effect */
#define BAWN_RESET_PORT 0xcf9        /* write with bit 2 set: reset */
#define BAWN_RESET_VALUE 6           /* what the ACPI tables and the reset vector's code write */
#define BAWN_PANIC_PORT 0x505        /* pvpanic: bit 0 panicked, bit 1 crash loaded */

enum bawn_stream_mode {
    BAWN_STREAM_OFF,
    BAWN_STREAM_NULL,
    BAWN_STREAM_TTY,
    BAWN_STREAM_FILE,
    BAWN_STREAM_PTY,
    BAWN_STREAM_SOCKET,
};

struct bawn_stream_config {
    enum bawn_stream_mode mode;
    char *path;   /* owned; of FILE, and where a PTY is once it is open */
    char *socket; /* owned; of SOCKET */
    char *id;     /* owned; NULL: none. COM1 has none */
};

#define BAWN_MAX_DISKS 8

enum bawn_disk_format { BAWN_DISK_RAW, BAWN_DISK_QCOW2 };

/* A budget that is full after refill milliseconds, and a further one for once. */
#define BAWN_RATE_MAX (1ull << 40) /* bytes, operations, milliseconds */
struct bawn_rate_config {
    uint64_t size; /* 0: no limit */
    uint64_t burst;
    uint64_t refill;
};

struct bawn_disk_config {
    char *path; /* owned */
    bool readonly;
    enum bawn_disk_format format; /* never guessed: what is in a raw image is the guest's */
    char *backing;                /* owned; of a qcow2 image; NULL: it must have none */
    enum bawn_disk_format backing_format;
    struct bawn_rate_config bytes, ops;
    bool uring; /* by an io_uring, where the host has one for it */
    char *id;   /* owned; NULL: none */
    uint8_t slot; /* of PCI; 0: any that is free */
};

#define BAWN_MAX_NETS 4
#define BAWN_NET_MTU_MIN 68u /* virtio 1.2, 5.1.4.1 */

#define BAWN_NET_PAIRS 4 /* of queues, of one device */

/* One of tap, socket and fd. */
struct bawn_net_config {
    char *tap;              /* owned; an interface's name */
    char *socket;           /* owned; a Unix stream socket's path */
    int fd[BAWN_NET_PAIRS]; /* open taps, one for each pair of queues */
    unsigned nr_fds;
    uint16_t queues; /* of a tap, two for each pair; more than there may be are left out; 0: 2 */
    bool has_mac;
    uint8_t mac[6];
    uint16_t mtu; /* 0: the guest is told none */
    char *id;     /* owned; NULL: none */
    uint8_t slot; /* of PCI; 0: any that is free */
};

struct bawn_balloon_config {
    bool on;
    uint64_t size;  /* bytes that the guest is asked to give up, whole pages */
    bool reporting; /* and it says what it does not use */
    char *id;       /* owned; NULL: none */
};

#define BAWN_VSOCK_CID_MIN 3u /* below are the hypervisor, local and host (virtio 1.2, 5.10.4) */

struct bawn_vsock_config {
    uint32_t cid; /* 0: no such device */
    char *socket; /* owned; a Unix socket's path */
    char *id;     /* owned; NULL: none */
};

/* Whether disks and network devices come and go while the guest runs. The ACPI tables say so, and
 * with them the launch digest: who attests a confidential guest decides on it. */
enum bawn_hotplug { BAWN_HOTPLUG_AUTO, BAWN_HOTPLUG_OFF, BAWN_HOTPLUG_ON };

#define BAWN_SNP_HOST_DATA_SIZE 32

/* SEV-SNP. Paths and text are owned. */
struct bawn_snp_config {
    bool on;
    uint64_t policy; /* AMD 56860, 4.3 */
    uint8_t host_data[BAWN_SNP_HOST_DATA_SIZE];
    char *id_block; /* raw or base64; NULL: none */
    char *id_auth;  /* NULL: id_block's path with .auth */
    char *certs;    /* certificate table for extended requests; NULL: none */
};

/* The VM's configuration: Cloud Hypervisor's vm.create body, the part that is served. */
struct bawn_vm_config {
    char *firmware; /* the shim's image, of a confidential VM; NULL: the installed one */
    char *kernel;   /* owned paths and text; kernel is mandatory */
    char *initrd;
    char *cmdline;
    uint64_t memory;        /* bytes, multiple of 2 MiB */
    bool hugepages;         /* of hugetlbfs, */
    uint64_t hugepage_size; /* bytes; 0: 2 MiB */
    bool thp;               /* without those: transparent ones, where the host has them */
    unsigned vcpus;         /* at the boot, */
    unsigned max_vcpus;     /* and at most while it runs; less than those: no more */
    /* Auto: of what is not confidential. */
    enum bawn_hotplug hotplug;
    struct bawn_stream_config serial;  /* OFF: no COM1 in the ACPI tables either */
    struct bawn_stream_config console; /* virtio-console; OFF: absent */
    bool rng;                          /* virtio-rng */
    char *rng_id;                      /* NULL: none */
    struct bawn_disk_config disk[BAWN_MAX_DISKS];
    unsigned nr_disks;
    struct bawn_net_config net[BAWN_MAX_NETS];
    unsigned nr_nets;
    struct bawn_balloon_config balloon;
    struct bawn_vsock_config vsock;
    char *tpm; /* owned; path of swtpm's control socket; NULL: no TPM, in the ACPI tables either */
    struct bawn_snp_config snp;
};

/* Defaults: 1 vCPU, 512 MiB, transparent huge pages, serial tty, no console, rng. */
void bawn_vm_config_init(struct bawn_vm_config *cfg);
void bawn_vm_config_free(struct bawn_vm_config *cfg);
/*
 * Parses JSON text over what cfg holds. Unknown keys are refused, by their paths. Lists are added
 * to those that are there. On failure cfg may hold a part of it; it can be freed as ever.
 */
enum bawn_status bawn_vm_config_parse(struct bawn_vm_config *cfg, const char *json, size_t len,
                                      struct bawn_error *err);
/* The same of a file, which the message names. */
enum bawn_status bawn_vm_config_load(struct bawn_vm_config *cfg, const char *path,
                                     struct bawn_error *err);
/* One device as an API call adds it: section is "disks", "net", "vsock" or the like, and the text
 * an object of that section. */
enum bawn_status bawn_vm_config_parse_device(struct bawn_vm_config *cfg, const char *section,
                                             const char *json, size_t len, struct bawn_error *err);
/* The whole as JSON text of malloc, which parses to the same; NULL: no memory. */
char *bawn_vm_config_print(const struct bawn_vm_config *cfg);
/* The JSON schema of what is parsed, as text of malloc; NULL: no memory. */
char *bawn_vm_config_schema(void);
/* Refuses what no launch could serve (sizes, counts, missing kernel). */
enum bawn_status bawn_vm_config_check(const struct bawn_vm_config *cfg, struct bawn_error *err);

/* Whether this machine has hot-plug. */
bool bawn_vm_config_hotplug(const struct bawn_vm_config *cfg);
/* How many vCPUs it is made of, as many as it may ever have: more than at the boot with hot-plug
 * alone, and never of a confidential one, whose vCPUs are measured. */
unsigned bawn_vm_config_max_vcpus(const struct bawn_vm_config *cfg);
/* "2", or "boot=2,max=4". */
bool bawn_cpus_parse(struct bawn_vm_config *cfg, const char *text);
/* Gives each disk and network device that has none its slot, and an id. */
enum bawn_status bawn_vm_config_place(struct bawn_vm_config *cfg, struct bawn_error *err);

/* Adds a disk of this path, read-write. BAWN_E_CONFIG: there are too many. */
enum bawn_status bawn_vm_config_add_disk(struct bawn_vm_config *cfg, const char *path,
                                         struct bawn_error *err);

/* Adds a network device without a host's side. BAWN_E_CONFIG: there are too many. */
enum bawn_status bawn_vm_config_add_net(struct bawn_vm_config *cfg, struct bawn_error *err);
/* "02:00:00:00:00:01", one station's and not all zero. */
bool bawn_mac_parse(const char *text, uint8_t *mac);

/* Exactly len bytes of hexadecimal digits. */
bool bawn_hex_parse(const char *text, uint8_t *bytes, size_t len);
/* A number, decimal or hexadecimal after 0x. */
bool bawn_u64_parse(const char *text, uint64_t *n);

/* A size as the command line gives it: a decimal number, optionally with K, M or G (powers of
 * 1024). */
enum bawn_status bawn_size_parse(const char *text, uint64_t *bytes, struct bawn_error *err);

/* The largest images that are read, in bytes. */
#define BAWN_KERNEL_MAX (512u << 20)
#define BAWN_INITRD_MAX (4096ull << 20)

struct bawn_file {
    uint8_t *data; /* owned copy: a mapped file could change after it was measured */
    size_t len;
};

/* Reads a regular file of at most max bytes. After a failure file is empty. */
enum bawn_status bawn_file_read(struct bawn_file *file, const char *path, size_t max,
                                struct bawn_error *err);
/* The same of one that is open; path: its name for messages. */
enum bawn_status bawn_file_read_fd(struct bawn_file *file, int fd, const char *path, size_t max,
                                   struct bawn_error *err);
void bawn_file_free(struct bawn_file *file);

/* A stretch of RAM: one memory slot, with flags 0, as the measurement has it. */
struct bawn_ram {
    uint64_t gpa;
    uint64_t size;
};

/* One piece of guest memory to fill: size is a multiple of 4096, data_len at most size, the rest
 * zero. */
struct bawn_region {
    enum bawn_measure_type type;
    uint64_t gpa;
    uint64_t size;
    const uint8_t *data; /* owned by the plan, or borrowed from the caller's file mapping; may be
                            NULL when data_len is 0 */
    size_t data_len;
};

struct bawn_launch_plan {
    struct bawn_ram ram[2];
    unsigned nr_ram;
    struct bawn_region region[BAWN_MEASURE_MAX_REGIONS]; /* ascending gpa, no overlap */
    unsigned nr_regions;
    struct kvm_regs regs;   /* of vCPU 0; the others wait for INIT and SIPI */
    struct kvm_sregs sregs; /* of vCPU 0; apic_base is BSP, enabled, xAPIC at the standard base */
    void *owned;            /* private */
};

/*
 * Computes the plan. kernel and initrd (may be NULL) are file contents that must outlive it.
 * Kernel: bzImage (protocol >= 2.12, 64-bit entry) or ELF64 with a PVH note.
 */
enum bawn_status bawn_launch_plan(struct bawn_launch_plan *plan, const struct bawn_vm_config *cfg,
                                  const uint8_t *kernel, size_t kernel_len, const uint8_t *initrd,
                                  size_t initrd_len, struct bawn_error *err);
/* The plan's memory alone, of a machine that goes on from a snapshot. */
void bawn_launch_plan_ram(struct bawn_launch_plan *plan, const struct bawn_vm_config *cfg);
void bawn_launch_plan_free(struct bawn_launch_plan *plan);

/* The digest and event log that bawn.ko computes for this plan (docs/measured-launch.md). */
struct bawn_measure_log {
    uint8_t digest[BAWN_MEASURE_DIGEST_SIZE];
    struct bawn_measure_event *events; /* owned */
    unsigned nr_events;
};
enum bawn_status bawn_launch_measure(const struct bawn_vm_config *cfg,
                                     const struct bawn_launch_plan *plan,
                                     struct bawn_measure_log *log, struct bawn_error *err);
void bawn_measure_log_free(struct bawn_measure_log *log);
/* An event type's name as the tools print it; "unknown" for a number that is none. */
const char *bawn_measure_type_name(uint32_t type);
/* The events as a table. */
void bawn_measure_log_print(FILE *out, const struct bawn_measure_log *log);

struct bawn_hex {
    char text[2 * BAWN_MEASURE_DIGEST_SIZE + 1];
};
struct bawn_hex bawn_digest_hex(const uint8_t digest[BAWN_MEASURE_DIGEST_SIZE]);

#endif
