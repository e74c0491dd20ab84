/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bawn-audit host: what was read of a host, and what is found in it. Files of the host are hostile:
 * they are read with limits first, and looked at when the process has locked itself in.
 */
#ifndef BAWN_AUDIT_HOST_H
#define BAWN_AUDIT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <bawn/attest.h>
#include <jansson.h>

enum host_fact {
    FACT_LOCKDOWN,
    FACT_RELEASE,
    FACT_CMDLINE,
    FACT_TAINT,
    FACT_SIG_ENFORCE,
    FACT_KEXEC_OFF,
    FACT_CRASH_KERNEL,
    FACT_CPUINFO,
    FACT_SMT,
    FACT_KVM_AMD_SNP,
    FACT_KVM_INTEL_TDX,
    FACT_BAWN_TAINT,
    FACT_BAWN_VERSION,
    FACT_PLATFORM,
    FACT_SECURE_BOOT,
    FACT_TPM,
    FACT_SWAPS,
    FACT_KSM,
    FACT_THP,
    FACT_CORE_PATTERN,
    FACT_SUID_DUMPABLE,
    FACT_KPTR,
    FACT_DMESG,
    FACT_PTRACE,
    FACT_BPF,
    FACT_PERF,
    FACT_SNP_STATUS,
    FACTS,
};

#define HOST_NAMED_MAX 64

/* A file of a directory, by its name. */
struct host_named {
    char name[64];
    struct bawn_bytes text; /* owned */
};

struct host_node {
    const char *path;
    bool there;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

struct host_facts {
    const char *root;
    struct bawn_bytes fact[FACTS]; /* owned; data NULL: not there, or not readable */
    struct host_named vulnerability[HOST_NAMED_MAX];
    size_t nr_vulnerabilities;
    unsigned nr_iommus;
    struct host_node node[2]; /* /dev/bawn, /dev/kvm */
    struct bawn_bytes units;  /* owned; what systemd-analyze security --json says */
};

/* NULL, or the path below the root that a fact is read from. */
const char *host_fact_path(enum host_fact fact);

/* Reads what there is; what is not is no error. exposure: NULL, or a file with the units' exposure.
 * BAWN_E_IO: there is no such root or file. host_free() in any case. */
enum bawn_status host_read(struct host_facts *facts, const char *root, const char *exposure,
                           struct bawn_error *err);
void host_free(struct host_facts *facts);

enum host_state { HOST_OK, HOST_WARN, HOST_FAIL, HOST_NONE };
extern const char *const host_state_names[];

/* One check's result. The texts are the host's, in printable ASCII; they live for the call. */
struct host_finding {
    const char *id;
    enum host_state state;
    const char *found, *advice; /* advice: "" where there is nothing to do */
};
typedef void (*host_finding_fn)(void *context, const struct host_finding *finding);
/* Makes every check, in an order that is always the same. Pure. */
void host_check(const struct host_facts *facts, host_finding_fn fn, void *context);

#endif
