// SPDX-License-Identifier: Apache-2.0
/*
 * Plugin of QEMU's emulator (docs/devel/tcg-plugins): counts, for each address, the instructions
 * that ran between the marks of kvmbench, and writes "address count" lines to to=NAME when the
 * emulator ends. The emulator's header is in no Debian package: what is used of it stands here.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated_fn)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*executed_fn)(unsigned int cpu, void *data);
typedef void (*ended_fn)(uint64_t id, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translated_fn fn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed_fn fn, int flags,
                                            void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, ended_fn fn, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t size);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

API int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);
API int qemu_plugin_version = 4;

/* xchg bx, bx and xchg cx, cx: no compiler makes them, and they do nothing. */
static const uint8_t begin_mark[] = { 0x66, 0x87, 0xdb }, end_mark[] = { 0x66, 0x87, 0xc9 };

#define NR_BUCKETS 65536
struct place {
    struct place *next;
    uint64_t address;
    uint64_t count;
};
static struct place *buckets[NR_BUCKETS];
static const char *output;
static bool counting;

static void begin(unsigned int cpu, void *data)
{
    (void)cpu, (void)data;
    counting = true;
}

static void end(unsigned int cpu, void *data)
{
    (void)cpu, (void)data;
    counting = false;
}

static void executed(unsigned int cpu, void *data)
{
    (void)cpu;
    ((struct place *)data)->count += counting;
}

static struct place *find(uint64_t address)
{
    struct place **bucket = &buckets[address % NR_BUCKETS], *p;

    for (p = *bucket; p; p = p->next)
        if (p->address == address)
            return p;
    p = calloc(1, sizeof(*p));
    if (!p)
        abort();
    *p = (struct place){ .next = *bucket, .address = address };
    *bucket = p;
    return p;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    uint8_t bytes[sizeof(begin_mark)];

    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, 0,
                                               find(qemu_plugin_insn_vaddr(insn)));
        if (qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(bytes))
            continue;
        if (!memcmp(bytes, begin_mark, sizeof(bytes)))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, 0, NULL);
        if (!memcmp(bytes, end_mark, sizeof(bytes)))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, end, 0, NULL);
    }
}

static void ended(uint64_t id, void *data)
{
    FILE *file = fopen(output, "w");

    (void)id, (void)data;
    for (size_t i = 0; file && i < NR_BUCKETS; i++)
        for (struct place *p = buckets[i]; p; p = p->next)
            if (p->count)
                fprintf(file, "%" PRIx64 " %" PRIu64 "\n", p->address, p->count);
    if (!file || fclose(file))
        perror(output);
}

API int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "to=", 3))
        return -1;
    output = argv[0] + 3;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
