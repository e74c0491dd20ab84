#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# refuse.sh WHY: where bawn.ko cannot run, or must not, it says why and leaves nothing.

why=$1 points=0

refused() { # text, words of the kernel's log, parameters of the module
	points=$((points + 1))
	dmesg -c >/dev/null
	# shellcheck disable=SC2086 # parameters are words
	if insmod /lab/bawn.ko $3 2>/dev/null; then
		echo "not ok $points - $1"
		rmmod bawn
	elif dmesg | grep -q "bawn: .*$2" && [ ! -e /sys/module/bawn ] && [ ! -e /dev/bawn ]; then
		echo "ok $points - $1"
	else
		echo "not ok $points - $1"
		dmesg | sed 's/^/# /'
	fi
}

insert() { # the modules that a list names, in its order
	while read -r module; do insmod "/lab/modules/${module##*/}" 2>/dev/null; done <"/lab/modules/$1.list"
}

insert bawn
case $why in
busy)
	echo "1..3"
	refused "a device name that is not served" "device=foo: it can be bawn or kvm" device=foo
	insert kvm
	refused "another hypervisor is active" "another hypervisor" ""
	refused "... and the same node wanted" "another hypervisor" device=kvm
	rmmod kvm_amd kvm
	;;
nosvm)
	echo "1..1"
	refused "a CPU without SVM" "no SVM" ""
	;;
esac
