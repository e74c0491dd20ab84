#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# libvirt_replay.sh DEVICE: the program libvirt_calls, with the modules that a tap needs.
# needs-module: tun

for ko in $(cat /lab/modules/tun.list); do
	[ -d "/sys/module/${ko%.ko}" ] || insmod "/lab/modules/$ko"
done
exec /lab/tests/libvirt_calls "$@"
