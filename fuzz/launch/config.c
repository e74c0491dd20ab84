// SPDX-License-Identifier: Apache-2.0
/*
 * A VM's configuration from anywhere (even: JSON), and files of an ID block (odd: a byte of the
 * block's length, then block and authentication information).
 */
#include <stdlib.h>
#include <string.h>

#include "launch/launch.h"
#include "launch/snp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_config(const uint8_t *data, size_t size)
{
    struct bawn_error err = { "" };
    struct bawn_vm_config cfg;
    char *text = malloc(size ? size : 1);

    if (!text)
        abort();
    memcpy(text, data, size); /* as long as it is, without a NUL */
    bawn_vm_config_init(&cfg);
    if (bawn_vm_config_parse(&cfg, text, size, &err) == BAWN_OK &&
        bawn_vm_config_check(&cfg, &err) == BAWN_OK &&
        (!cfg.kernel || cfg.nr_disks > BAWN_MAX_DISKS || cfg.vcpus - 1 >= BAWN_MAX_VCPUS))
        abort();
    bawn_vm_config_free(&cfg);
    free(text);
}

static void parse_identity(const uint8_t *data, size_t size)
{
    struct bawn_snp_identity id;
    struct bawn_error err = { "" };
    size_t len = data[0] < size ? data[0] : size - 1;

    bawn_snp_identity_parse(&id, (struct bawn_bytes){ data + 1, len },
                            (struct bawn_bytes){ data + 1 + len, size - 1 - len }, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[0] & 1)
        parse_identity(data + 1, size - 1);
    else
        parse_config(data + 1, size - 1);
    return 0;
}
