/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer for ACPI tables and for the part of AML that names, packages, devices and resource
 * templates need (ACPI 6.5, 20.2 and 6.4). Overflow is sticky: ask once at the end.
 */
#ifndef BAWN_LAUNCH_AML_H
#define BAWN_LAUNCH_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *buf;
    size_t len, cap;
    bool overflow;
};

/* Little-endian integers of n bytes, and raw bytes; the base of the rest. */
void aml_raw(struct aml *a, const void *data, size_t n);
void aml_le(struct aml *a, uint64_t v, unsigned n);

/* Open an object whose length stands before its content; aml_close takes what they return. */
size_t aml_scope(struct aml *a, const char *path); /* "\\_SB_" or one segment */
size_t aml_device(struct aml *a, const char *seg);
size_t aml_method(struct aml *a, const char *seg, uint8_t args);
size_t aml_package(struct aml *a, uint8_t elements);
void aml_close(struct aml *a, size_t opened);

void aml_name(struct aml *a, const char *seg); /* Name(seg, ...): a value must follow */
void aml_int(struct aml *a, uint32_t v);
void aml_string(struct aml *a, const char *s);
void aml_buffer(struct aml *a, const void *data, uint8_t n);
void aml_eisaid(struct aml *a, const char *id);                 /* "PNP0A08" */
void aml_notify(struct aml *a, const char *seg, uint8_t value); /* Notify(seg, value) */

/* What methods do: registers with names, two variables, conditions. */
enum { AML_LOCAL0 = 0x60, AML_ARG0 = 0x68 };
/* OperationRegion(seg, SystemIO, port, size), and its fields, of 32 bits each, in order. */
void aml_ports(struct aml *a, const char *seg, uint16_t port, uint8_t size);
void aml_fields(struct aml *a, const char *region, const char *const *segs, unsigned nr);
void aml_load(struct aml *a, const char *seg, uint8_t variable); /* variable = seg */
void aml_store(struct aml *a, uint32_t v, const char *seg);      /* seg = v */
/* If (variable & mask), if (variable == v): aml_close() ends it. */
size_t aml_if_and(struct aml *a, uint8_t variable, uint32_t mask);
size_t aml_if_equal(struct aml *a, uint8_t variable, uint32_t v);
size_t aml_else(struct aml *a);
void aml_call(struct aml *a, const char *device, const char *method); /* in \\_SB_ */
void aml_return(struct aml *a, uint32_t v);

/* ResourceTemplate(): everything between begin and end is a resource descriptor. */
struct aml_resources {
    size_t package, start;
};
struct aml_resources aml_resources_begin(struct aml *a);
void aml_resources_end(struct aml *a, struct aml_resources r);
void aml_res_io(struct aml *a, uint16_t port, uint8_t len);
void aml_res_irq(struct aml *a, uint32_t gsi);   /* edge, active high, exclusive */
void aml_res_level(struct aml *a, uint32_t gsi); /* level, the same */
void aml_res_memory(struct aml *a, uint32_t base, uint32_t size);
enum aml_window { AML_WINDOW_MEMORY, AML_WINDOW_IO, AML_WINDOW_BUS };
/* A range that a bridge passes down; size bytes 2 (word) or 4 (dword). */
void aml_res_window(struct aml *a, enum aml_window type, unsigned size, uint32_t min, uint32_t max);

#endif
