#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the lab host, for the demo: runs the guest and passes on what it and bawn run say.
# The demo puts the guest's options in the place of @VM@.
echo 1..1
{
	bawn run --device "$1" --kernel /lab/guest/vmlinuz --initrd /lab/guest/initrd @VM@ 2>&1
	echo $? >/tmp/status
} | tr -d '\r' | sed 's/^/| /'
if [ "$(cat /tmp/status)" = 0 ]; then
	echo "ok 1 - the guest powered off"
else
	echo "not ok 1 - bawn run ended with $(cat /tmp/status)"
fi
