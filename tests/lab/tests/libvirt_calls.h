/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libvirt 11.3.0's ch driver writes to its hypervisor's API for virsh start, suspend, resume,
 * reboot, save, restore and shutdown of one machine, recorded at the socket and byte for byte. The
 * connections are curl's, which stays, and one that it makes for requests with descriptors. (Its
 * restore was recorded without a network, which it fails to make; net_fds is as its source has it.)
 */
#ifndef LIBVIRT_CALLS_H
#define LIBVIRT_CALLS_H

#include <stdbool.h>

enum libvirt_step {
    LIBVIRT_START,
    LIBVIRT_SUSPEND,
    LIBVIRT_RESUME,
    LIBVIRT_REBOOT,
    LIBVIRT_REBOOTED, /* when the event has come */
    LIBVIRT_SAVE,
    LIBVIRT_RESTORE,
    LIBVIRT_RESTORED, /* it is paused until then */
    LIBVIRT_SHUTDOWN,
};

#define PUT(call) "PUT /api/v1/" call " HTTP/1.1\r\nHost: localhost\r\n"
#define ACCEPT "Accept: application/json\r\n"
#define JSON "Content-Type: application/json\r\n"
#define NOTHING ACCEPT "Content-Length: 0\r\n\r\n"
#define INFO "GET /api/v1/vm.info HTTP/1.1\r\nHost: localhost\r\n" ACCEPT JSON "\r\n"

static const struct libvirt_call {
    enum libvirt_step step;
    unsigned connection;
    bool tap; /* a tap's descriptor goes with it */
    const char *text;
} libvirt_calls[] = {
    { LIBVIRT_START, 0, false,
      PUT("vm.create") ACCEPT JSON
      "Content-Length: 305\r\n\r\n"
      "{\"console\":{\"mode\":\"Pty\"},\"serial\":{\"mode\":\"Pty\"},"
      "\"cpus\":{\"boot_vcpus\":2,\"max_vcpus\":2},\"memory\":{\"size\":268435456},"
      "\"payload\":{\"kernel\":\"/lab/guest/vmlinuz\",\"cmdline\":\"console=ttyS0 panic=-1 quiet "
      "bawn.test=button bawn.end=poweroff\",\"initramfs\":\"/lab/guest/initrd\"},"
      "\"disks\":[{\"path\":\"/tmp/libvirt/disk\"}]}" },
    { LIBVIRT_START, 1, true,
      PUT("vm.add-net") JSON "Content-Length: 55\r\n\r\n"
                             "{\"id\":\"net_0\",\"mac\":\"02:00:00:00:00:02\",\"num_queues\":2}" },
    { LIBVIRT_START, 0, false, PUT("vm.boot") NOTHING },
    { LIBVIRT_START, 0, false, INFO },
    { LIBVIRT_SUSPEND, 0, false, PUT("vm.pause") NOTHING },
    { LIBVIRT_RESUME, 0, false, PUT("vm.resume") NOTHING },
    { LIBVIRT_REBOOT, 0, false, PUT("vm.reboot") NOTHING },
    { LIBVIRT_REBOOTED, 0, false, INFO },
    { LIBVIRT_SAVE, 0, false, PUT("vm.pause") NOTHING },
    { LIBVIRT_SAVE, 0, false,
      PUT("vm.snapshot") ACCEPT JSON "Content-Length: 47\r\n\r\n"
                                     "{\"destination_url\":\"file:///tmp/libvirt/saved\"}" },
    { LIBVIRT_RESTORE, 1, true,
      PUT("vm.restore") JSON "Content-Length: 81\r\n\r\n"
                             "{\"source_url\":\"file:///tmp/libvirt/saved\","
                             "\"net_fds\":[{\"id\":\"net_0\",\"num_fds\":1}]}" },
    { LIBVIRT_RESTORE, 0, false, INFO },
    { LIBVIRT_RESTORED, 0, false, PUT("vm.resume") NOTHING },
    { LIBVIRT_SHUTDOWN, 0, false, PUT("vm.shutdown") NOTHING },
};

#undef PUT
#undef ACCEPT
#undef JSON
#undef NOTHING
#undef INFO

#endif
