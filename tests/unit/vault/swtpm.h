/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: a TPM of their own (swtpm), in a folder, with tpm2-tools to speak to it. */
#ifndef TESTS_UNIT_VAULT_SWTPM_H
#define TESTS_UNIT_VAULT_SWTPM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct swtpm {
    char dir[64];
    char tcti[64];
    pid_t pid;
};

/* 0: it answers. swtpm_stop in every case. */
int swtpm_start(struct swtpm *tpm);
int swtpm_stop(struct swtpm *tpm);
/* A shell command in its folder, TPM2TOOLS_TCTI set; printf's format. Its exit status. */
__attribute__((format(printf, 2, 3))) int swtpm_run(const struct swtpm *tpm, const char *fmt, ...);
/* A file of the folder; how many bytes. */
size_t swtpm_file(const struct swtpm *tpm, const char *name, uint8_t *data, size_t size);

#endif
