/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hostile guest's own machine: memory-mapped and port accesses of each width, and the virtio
 * devices of Bawn's fixed platform (launch/launch.h) with split rings to be broken. Freestanding;
 * all of memory is its own to spoil but the first 16 MiB, where it runs.
 */
#ifndef LAB_HOSTILE_H
#define LAB_HOSTILE_H

#include <stdbool.h>
#include <stdint.h>

#define RAM_END 0x4000000ull /* bawn run --memory 64M */
#define ARENA 0x1000000ull   /* what devices may be told to write to: to ARENA_END */
#define ARENA_END 0x3000000ull
#define ECAM 0xe0000000ull
#define PCI_WINDOW 0xc0000000ull
#define SLOTS 32
#define BAR0_ISR 0x1000
#define BAR0_DEVICE 0x2000
#define BAR0_NOTIFY 0x3000

enum { /* virtio 1.2, section 4.1.4.3 */
       COMMON_DF_SELECT = 0x00,
       COMMON_DF = 0x04,
       COMMON_GF_SELECT = 0x08,
       COMMON_GF = 0x0c,
       COMMON_NR_QUEUES = 0x12,
       COMMON_STATUS = 0x14,
       COMMON_Q_SELECT = 0x16,
       COMMON_Q_SIZE = 0x18,
       COMMON_Q_VECTOR = 0x1a,
       COMMON_Q_ENABLE = 0x1c,
       COMMON_Q_DESC = 0x20,
       COMMON_Q_AVAIL = 0x28,
       COMMON_Q_USED = 0x30,
       COMMON_END = 0x38,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4, AVAIL = 0x80, USED = 0x8000 };
enum { ID_NET = 0x1041, ID_BLK, ID_CONSOLE, ID_RNG, ID_BALLOON, ID_VSOCK = 0x1053 };
#define F_INDIRECT (1ull << 28)
#define F_EVENT_IDX (1ull << 29)
#define F_VERSION_1 (1ull << 32)
#define F_PACKED (1ull << 34)

#define RING 16 /* entries of each ring */
#define QUEUES 8

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next; /* of a packed ring: the identifier, then the flags */
};

/* One queue's memory; everything in it is what an attack likes. */
struct ring {
    struct desc desc[RING];
    uint8_t pad[4096 - RING * sizeof(struct desc)];
    struct {
        uint16_t flags, idx, ring[RING], event;
    } avail __attribute__((aligned(4096)));
    struct {
        uint16_t flags, idx;
        struct {
            uint32_t id, len;
        } ring[RING];
        uint16_t event;
    } used __attribute__((aligned(4096)));
    struct desc indirect[RING] __attribute__((aligned(4096)));
} __attribute__((aligned(4096)));

struct dev {
    unsigned slot, id, nr_queues;
    uint64_t cfg, bar[2];
};

extern struct ring rings[QUEUES];
extern struct dev devs[SLOTS];
extern unsigned nr_devs;

/* Each is one instruction, so that the access is as wide as it says. */
#define ACCESS(bits, type, suffix, reg)                                                 \
    static inline type r##bits(uint64_t at)                                             \
    {                                                                                   \
        type val;                                                                       \
                                                                                        \
        __asm__ volatile("mov" suffix " (%1), %0" : "=" reg(val) : "r"(at) : "memory"); \
        return val;                                                                     \
    }                                                                                   \
    static inline void w##bits(uint64_t at, type val)                                   \
    {                                                                                   \
        __asm__ volatile("mov" suffix " %0, (%1)" : : reg(val), "r"(at) : "memory");    \
    }
ACCESS(8, uint8_t, "b", "q")
ACCESS(16, uint16_t, "w", "r")
ACCESS(32, uint32_t, "l", "r")
ACCESS(64, uint64_t, "q", "r")

#define PORT(bits, type, suffix)                                           \
    static inline type in##bits(uint16_t port)                             \
    {                                                                      \
        type val;                                                          \
                                                                           \
        __asm__ volatile("in" suffix " %1, %0" : "=a"(val) : "Nd"(port));  \
        return val;                                                        \
    }                                                                      \
    static inline void out##bits(uint16_t port, type val)                  \
    {                                                                      \
        __asm__ volatile("out" suffix " %0, %1" : : "a"(val), "Nd"(port)); \
    }
PORT(8, uint8_t, "b")
PORT(16, uint16_t, "w")
PORT(32, uint32_t, "l")

uint32_t random32(void); /* the same numbers each time */
void say(const char *text);
void say_number(uint64_t val);

/* The devices as the platform has them; BARs where they were, decoding on. */
void find_devices(void);
void put_back(const struct dev *d);
void put_all_back(void);
/* Status 0, and until it reads so. false: never. */
bool reset(const struct dev *d);
/* Up to FEATURES_OK, with the features that are offered of those wanted; rings stand empty. */
void negotiate(const struct dev *d, uint64_t features);
void set_queue(const struct dev *d, unsigned q, uint64_t desc, uint64_t avail, uint64_t used);
void set_status(const struct dev *d, uint8_t status);
/* All of that and DRIVER_OK, with every queue at its ring. */
void start(const struct dev *d, uint64_t features);
void kick(const struct dev *d, unsigned q);
/* Makes the chain at descriptor head known and rings. */
void offer(const struct dev *d, unsigned q, uint16_t head);
/* The device has used so many chains, or asks for its reset. false: not while we looked so often.
 */
bool answered(const struct dev *d, unsigned q, uint16_t used, unsigned looks);
/* It is reset and does what it is for: rng gives bytes, a disk reads what was written. */
bool serves(const struct dev *d);

struct attack {
    const char *text;
    void (*on)(const struct dev *d); /* for each device */
};
extern const struct attack ring_attacks[], register_attacks[]; /* ended by a NULL */

#endif
