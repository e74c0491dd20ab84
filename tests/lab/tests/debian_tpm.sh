#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# debian_tpm.sh DEVICE: what debian.sh does with swtpm beside it.
# needs: /usr/bin/swtpm

exec /lab/tests/debian.sh "$1" tpm
