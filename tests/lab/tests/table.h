/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ioctl table test: rows of calls with a good argument each, and what is varied of them.
 * table_rows.c has the rows, table.c turns each into its cases, table_test.c adds the cases that
 * are no variation of one call. A case is one answer (answers.h).
 */
#ifndef BAWN_TEST_TABLE_H
#define BAWN_TEST_TABLE_H

#include "answers.h"
#include "harness.h"

enum object { DEV, VM, VCPU };

/* What has happened to the objects before the call. */
enum state {
    NEW,       /* VM without vCPU; vCPU without CPUID and interrupt controller */
    SPLIT,     /* split irqchip; vCPU with CPUID and 64-bit state */
    POPULATED, /* and a vCPU that has not run; for a vCPU the same as SPLIT */
    RAN,       /* and it has run */
    NR_STATES
};

struct field {
    const char *name;
    uint16_t offset, size;
};
#define MAX_FIELDS 40

#define ROW_NUMBER 1 /* the argument is a number, not a pointer */
#define ROW_FD 2     /* what it returns is a file descriptor */
#define ROW_FRESH 4  /* new objects after each variation of a field that was accepted */
#define ROW_APART 16 /* each field has objects of its own */
#define ROW_COUNT 8  /* only the fields' extreme values: a list's length */

struct world {
    struct vm *vm;
    struct vcpu *vcpu;
    int fd[3]; /* of each object */
    int eventfd, other_eventfd, plain_fd;
    uint8_t *mem; /* TABLE_MEM bytes, of no slot yet */
};
#define TABLE_MEM 0x20000

struct row {
    const char *name;
    enum object object;
    unsigned long nr;
    void (*build)(const struct world *w, void *arg); /* a good argument; NULL: zeroes */
    const struct field *fields;                      /* ended by one without name */
    unsigned flags;
    unsigned long readback; /* the GET whose answer shows what a SET did; 0: none */
};

extern const struct row table_rows[];
extern const size_t table_nr_rows;

/* Objects in a state; an old world's are given back first. */
void world_new(struct world *w, enum state state);
void world_free(struct world *w);

/* The call with this argument: an errno's name, a number, or "fd" (which is closed). */
const char *table_call(const struct world *w, const struct row *row, unsigned long arg);

/* KVM_RUN: its result, and the exit that it left in the run page. */
void table_run(const struct world *w, const char *name, unsigned long arg);

/* A case's name, until the next call. */
const char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define VALUE(name, result) answer(name, "%s", answer_text(result))

void table_states(void);   /* good arguments in each state */
void table_pointers(void); /* each pointer that can be wrong */
/* each field with each value of a list */
void table_vm_fields(void); /* the device's calls with them */
void table_vm_fields2(void);
void table_vcpu_fields(void);

/* table_files.c */
void table_files(void); /* what is done with the files themselves */
void table_memfd(void);
void table_eventfds(void);
void table_concurrent_close(void);

#endif
