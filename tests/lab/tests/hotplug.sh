#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hotplug.sh DEVICE: a CPU of the host goes and comes while guests run, while the module comes and goes,
# and the module does not go while they run.

. /lab/tests/common.sh
online=/sys/devices/system/cpu/cpu1/online

if [ ! -e $online ]; then
	echo "1..0 # SKIP this host has one CPU"
	exit 0
fi
goes_and_comes() { # as long as the guests run
	rounds=0
	while kill -0 "$guests" 2>/dev/null; do
		echo 0 >$online && echo 1 >$online && rounds=$((rounds + 1))
		usleep 100000
	done
	echo "# $rounds times"
	[ $rounds -ge 5 ]
}
ended_well() {
	wait "$guests"
	status=$?
	grep -v '^ok' "$work/out" | sed 's/^not ok/#/; s/^[^#]/# &/'
	[ $status -eq 0 ]
}
some() { # of the stress test, in the background
	/lab/tests/stress "$device" "$@" seconds=200 >"$work/out" 2>&1 &
	guests=$!
}
in_use() {
	left=100
	until [ "$(cat /sys/module/bawn/refcnt)" -gt 1 ] || [ $left -eq 0 ]; do
		left=$((left - 1))
		usleep 10000
	done
	! rmmod bawn 2>/dev/null && [ -c "$device" ]
}
again() { # rmmod and insmod
	rmmod bawn && insmod /lab/bawn.ko && [ -c "$device" ]
}
loads_without() { # the CPU, which comes afterwards
	echo 0 >$online && again && echo 1 >$online
}
unloads_without() { # the CPU, which comes when the module has gone
	echo 0 >$online && rmmod bawn && echo 1 >$online && insmod /lab/bawn.ko && [ -c "$device" ]
}
on_each_cpu() {
	for cpu in 0 1; do
		taskset -c $cpu /lab/tests/stress "$device" cycles=5 vms=2 kills=2 slots=20 touched=64 \
			>"$work/out" 2>&1 || return 1
	done
}

echo 1..9
some cycles=100 vms=8 kills=20 slots=500 touched=512
check "the module stays while guests run" in_use
check "a CPU goes and comes while they do" goes_and_comes
check "which they do not notice" ended_well
check "guests run on each CPU" on_each_cpu
check "the module is loaded without one CPU" loads_without
check "guests run on each CPU" on_each_cpu
check "the module is unloaded without one CPU" unloads_without
check "guests run on each CPU" on_each_cpu
check "the module comes and goes" again
