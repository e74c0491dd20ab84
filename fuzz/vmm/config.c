// SPDX-License-Identifier: Apache-2.0
/*
 * A machine's configuration from anywhere: as a whole (first byte 0), or one device of a section,
 * as an API call adds it. What is taken, prints as what parses to the same.
 */
#include <string.h>

#include "common.h"
#include "launch/launch.h"

static const char *const sections[] = { NULL, "disks", "net", "vsock", "balloon", "console", "fs" };

static void print_and_parse(const struct bawn_vm_config *cfg)
{
    struct bawn_vm_config again;
    struct bawn_error err = { "" };
    char *once = bawn_vm_config_print(cfg), *twice;

    bawn_vm_config_init(&again);
    if (!once || bawn_vm_config_parse(&again, once, strlen(once), &err))
        abort();
    twice = bawn_vm_config_print(&again);
    if (!twice || strcmp(once, twice) != 0)
        abort();
    if (bawn_vm_config_check(cfg, NULL) != bawn_vm_config_check(&again, &err))
        abort();
    free(once);
    free(twice);
    bawn_vm_config_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_error err = { "" };
    struct bawn_vm_config cfg;
    enum bawn_status st;
    const char *section;
    char *text;

    if (!size)
        return 0;
    section = sections[data[0] % (sizeof(sections) / sizeof(sections[0]))];
    text = malloc(size);
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1); /* as long as it is, without a NUL */
    bawn_vm_config_init(&cfg);
    st = section ? bawn_vm_config_parse_device(&cfg, section, text, size - 1, &err)
                 : bawn_vm_config_parse(&cfg, text, size - 1, &err);
    if (st == BAWN_OK)
        print_and_parse(&cfg);
    else if (!err.msg[0])
        abort();
    bawn_vm_config_free(&cfg);
    free(text);
    return 0;
}
