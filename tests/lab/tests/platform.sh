#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The software platform's module by itself: who may load it, its device, a daemon that comes, goes
# and hangs. The test loads and unloads it, and the daemon, on its own.

n=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
bad() { n=$((n + 1)); echo "not ok $n - $1"; }
check() { # text, command...
	text=$1
	shift
	if "$@" >/tmp/out 2>&1; then ok "$text"; else
		bad "$text"
		sed 's/^/# /' /tmp/out
	fi
}
refused() { ! "$@"; }
said() { dmesg | tail -n 20 | grep -q "$1"; }
state=/sys/kernel/debug/bawn_platform/state
device=/dev/bawn-platform
daemon() { bawn-platformd --state /run/platform "$@"; }

echo 1..17
insmod /lab/bawn.ko
[ -d /run/platform ] || cp -r /lab/platform-state /run/platform
chmod 700 /run/platform
chmod 600 /run/platform/*

check "it is not loaded without the parameter" refused insmod /lab/bawn_platform.ko
check "and says which" said "i_understand_this_is_not_secure=1"
check "nor with the parameter at 0" refused insmod /lab/bawn_platform.ko i_understand_this_is_not_secure=0
check "nor with no ASID" refused insmod /lab/bawn_platform.ko i_understand_this_is_not_secure=1 asids=0
check "no device without it" test ! -e $device
tainted=$(cat /proc/sys/kernel/tainted)
check "it is loaded with the parameter" insmod /lab/bawn_platform.ko i_understand_this_is_not_secure=1
check "and taints" test $((tainted & (1 << 18))) = 0 -a $(($(cat /proc/sys/kernel/tainted) & (1 << 18))) != 0
check "its device is root's alone" test "$(stat -c '%a %u' $device)" = "600 0"
check "bawn.ko cannot go before it" refused rmmod bawn
check "a daemon serves it" daemon
check "a second opener is refused" refused sh -c "exec 9<>$device"
check "a second daemon too" refused daemon
check "the module stays while it is served" refused rmmod bawn_platform
check "nothing exists" sh -c "! grep -v ' 0\$' $state"
killall bawn-platformd
sleep 1
check "a daemon comes back" daemon
killall bawn-platformd
sleep 1
check "without a daemon the module goes" rmmod bawn_platform
check "and its device" test ! -e $device
rmmod bawn
