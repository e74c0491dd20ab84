#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# debian_root.sh DEVICE WHAT: what debian.sh does with a whole Debian system on a disk, and swtpm beside it.
# needs-disk: lab/debian.ext4
# needs-module: virtio_blk
# needs-module: tun
# needs: /usr/bin/swtpm

exec /lab/tests/debian.sh "$@"
