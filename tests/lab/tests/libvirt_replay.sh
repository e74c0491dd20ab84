#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# libvirt_replay.sh DEVICE: the program libvirt_calls, with the modules that a tap needs.
# needs-module: tun

. /lab/tests/common.sh
insert tun
exec /lab/tests/libvirt_calls "$@"
