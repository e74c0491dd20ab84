// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-console under a hostile driver: common.h has the steps. HOST x y: somebody types byte y
 * x % 16 times, or (x over 240) goes away for good.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

static struct bawn_stream stream = { .in_fd = -1, .out_fd = -1, .raw = true };
static struct bawn_stream clean;
static struct bawn_virtio_console console;
static int keyboard[2] = { -1, -1 };

static void quit(void *opaque)
{
    (void)opaque;
}

static void open_keyboard(void)
{
    FUZZ_MUST(!pipe2(keyboard, O_CLOEXEC | O_NONBLOCK));
    /* The same number again, which the device's watch has. */
    if (stream.in_fd >= 0 && keyboard[0] != stream.in_fd) {
        FUZZ_MUST(dup3(keyboard[0], stream.in_fd, O_CLOEXEC) >= 0);
        close(keyboard[0]);
        keyboard[0] = stream.in_fd;
    }
}

static void host(uint8_t what, uint8_t how)
{
    uint8_t typed[16];

    memset(typed, how, sizeof(typed));
    if (what > 240 && keyboard[1] >= 0) {
        close(keyboard[1]);
        keyboard[1] = -1;
    } else if (keyboard[1] >= 0) {
        (void)!write(keyboard[1], typed, what % 16);
    }
}

static void clear(void)
{
    uint8_t rest[4096];

    if (keyboard[1] < 0) {
        close(keyboard[0]);
        open_keyboard();
    }
    while (read(keyboard[0], rest, sizeof(rest)) > 0)
        ;
    stream = clean;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (stream.in_fd < 0) {
        struct bawn_vdev_host machine = fuzz_machine();

        open_keyboard();
        stream.in_fd = keyboard[0];
        clean = stream;
        FUZZ_MUST(!bawn_virtio_console_init(&console, &machine, &stream, quit, NULL));
        fuzz_plugged(&(struct fuzz_device){ .vdev = &console.vdev,
                                            .host = host,
                                            .clear = clear,
                                            .state = &console,
                                            .size = sizeof(console) });
    }
    fuzz_steps(data, size);
    return 0;
}
