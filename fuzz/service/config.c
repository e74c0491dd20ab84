// SPDX-License-Identifier: Apache-2.0
/* Input: a configuration. What is refused has a message with a place in the file. */
#include <string.h>

#include "attest/service/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct service_config *config;
    struct bawn_error err = { "" };

    if (config_parse(&config, "/x/config.json", (const char *)data, size, &err) == BAWN_OK)
        config_destroy(config);
    else if (config || strncmp(err.msg, "/x/config.json:", 15) != 0)
        __builtin_trap();
    return 0;
}
