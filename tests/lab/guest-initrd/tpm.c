// SPDX-License-Identifier: Apache-2.0
/*
 * Asks the TPM for random numbers twice, extends PCR 16 by 32 bytes of 0x42, and says what it got.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint8_t get_random[] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 16 };
/* TPM2_PCR_Extend with an empty password; the digest follows. */
static const uint8_t extend[] = { 0x80, 2,    0, 0, 0, 65, 0, 0, 1, 0x82, 0, 0, 0, 16, 0, 0, 0,
                                  9,    0x40, 0, 0, 9, 0,  0, 0, 0, 0,    0, 0, 0, 1,  0, 11 };

/* The answer's return code; -1: there is no answer. */
static long run(int fd, const uint8_t *command, size_t len, uint8_t answer[4096])
{
    memset(answer, 0, 4096);
    if (write(fd, command, len) != (ssize_t)len || read(fd, answer, 4096) < 10)
        return -1;
    return (long)answer[6] << 24 | answer[7] << 16 | answer[8] << 8 | answer[9];
}

int main(void)
{
    uint8_t first[4096], second[4096], command[65];
    int fd = open("/dev/tpmrm0", O_RDWR | O_CLOEXEC);

    if (fd < 0 || run(fd, get_random, sizeof(get_random), first) ||
        run(fd, get_random, sizeof(get_random), second) || !memcmp(first, second, 28)) {
        printf("no random numbers: %m\n");
        return 1;
    }
    memcpy(command, extend, sizeof(extend));
    memset(command + sizeof(extend), 0x42, sizeof(command) - sizeof(extend));
    if (run(fd, command, sizeof(command), first)) {
        printf("PCR 16 is not extended: %02x%02x\n", first[8], first[9]);
        return 1;
    }
    for (unsigned i = 12; i < 28; i++)
        printf("%02x", second[i]);
    printf("\n");
    return 0;
}
