/* SPDX-License-Identifier: Apache-2.0 */
/* The memory_* tests' way to the host's knobs and to what a VM has mapped (memory.h). */
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>

uint64_t memory_stat(struct vm *vm, const char *name)
{
    struct kvm_stats_header head;
    uint64_t value = ~0ull;
    int fd = kvm_callv(vm->fd, KVM_GET_STATS_FD, 0);

    ASSERT(fd >= 0);
    ASSERT_EQ(pread(fd, &head, sizeof(head), 0), sizeof(head));
    for (uint32_t i = 0; i < head.num_desc; i++) {
        struct {
            struct kvm_stats_desc desc;
            char name[64];
        } d = { 0 };
        size_t size = sizeof(d.desc) + head.name_size;

        ASSERT(size <= sizeof(d));
        ASSERT_EQ(pread(fd, &d, size, (off_t)(head.desc_offset + i * size)), size);
        if (!strcmp(d.name, name))
            ASSERT_EQ(pread(fd, &value, 8, (off_t)(head.data_offset + d.desc.offset)), 8);
    }
    close(fd);
    ASSERT(value != ~0ull);
    return value;
}

bool memory_set(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return done;
}

long memory_get(const char *path, const char *key)
{
    FILE *f = fopen(path, "r");
    size_t skip = key ? strlen(key) : 0;
    char line[256];
    long value = -1;

    while (f && value < 0 && fgets(line, sizeof(line), f))
        if (!key || !strncmp(line, key, skip))
            value = strtol(line + skip, NULL, 0);
    if (f)
        fclose(f);
    return value;
}
