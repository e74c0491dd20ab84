#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# snp_oldkernel.sh DEVICE: Debian 12's own Linux 6.1 as an SEV-SNP guest with two CPUs, to userland.
# needs: /boot/vmlinuz-6.1.*-cloud-amd64

for kernel in /boot/vmlinuz-6.1.*-cloud-amd64; do :; done
if [ ! -e "$kernel" ]; then
	echo 1..1
	echo "ok 1 - Linux 6.1 # SKIP there is no $kernel where this was built: make deps"
	exit
fi
echo "# $kernel"
BAWN_KERNEL=$kernel exec /lab/tests/debian.sh "$1" up 2 snp
