#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the lab host: kvmbench on one module, then on the other, each loaded for itself.
bench() { # device, path
	echo "DEVICE $1"
	if kvmbench "$2" | tee /tmp/out && grep -q BENCH_DONE /tmp/out; then
		echo "ok $3 - kvmbench on $2"
	else
		echo "not ok $3 - kvmbench on $2"
	fi
}
insert() { for ko in $(cat "/lab/modules/$1"); do [ -d "/sys/module/${ko%.ko}" ] || insmod "/lab/modules/$ko"; done; }

echo 1..2
# The first program after a boot shares the CPU with what the boot left to do, and touches memory
# that nobody touched before: a run whose figures nobody sees takes that upon itself.
insert kvm.list
kvmbench /dev/kvm >/dev/null 2>&1
rmmod kvm_amd kvm
if [ -f /lab/bawn.ko ] && insert bawn.list && insmod /lab/bawn.ko; then
	bench bawn /dev/bawn 1
	rmmod bawn
else
	echo "not ok 1 - bawn.ko can be loaded"
fi
insert kvm.list
bench kvm /dev/kvm 2
