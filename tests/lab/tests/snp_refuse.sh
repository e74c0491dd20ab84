#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# snp_refuse.sh DEVICE WHAT: what `bawn run --tee snp` says where it cannot run a guest.

device=$1 what=$2
err=/tmp/refuse.$$
points=0

refused() { # text, words of the message, options
	text=$1 words=$2
	shift 2
	points=$((points + 1))
	bawn run --device "$device" --tee snp --kernel /lab/guest/vmlinuz --memory 128M --serial null \
		--timeout $((20 * ${LAB_SLOWER:-1})) "$@" </dev/null >/dev/null 2>$err
	status=$?
	if [ $status -ne 0 ] && grep -q "$words" $err; then echo "ok $points - $text"; else
		echo "not ok $points - $text"
		sed 's/^/# /' $err
	fi
}

shim="--firmware /lab/shim.bin"
case $what in
absent) # the module is there, and nothing that plays the processor
	echo 1..1
	# shellcheck disable=SC2086 # two words
	refused "no platform: what is missing is named" "insmod bawn_platform.ko, then start bawn-platformd" $shim
	;;
daemon)
	echo 1..7
	killall bawn-platformd
	while pidof bawn-platformd >/dev/null; do usleep 50000; done
	# shellcheck disable=SC2086
	refused "no daemon: it is asked for" "is bawn-platformd running" $shim
	bawn-platformd --state /run/platform
	refused "no shim: the installed one is named" "cannot open /usr/local/share/bawn/shim.bin"
	head -c 65537 /dev/zero >/tmp/zeros
	refused "a shim that is too large" "the shim has 65537 bytes: must be 1 to 65536" --firmware /tmp/zeros
	head -c 3000 /dev/zero >/tmp/zeros # code that writes to address 0, and nothing takes the exception
	refused "a shim that is none ends the guest" "vCPU 0: triple fault" --firmware /tmp/zeros
	# shellcheck disable=SC2086
	refused "a policy that the firmware does not take" "KVM_SEV_SNP_LAUNCH_START" $shim --snp-policy 0x20000
	# shellcheck disable=SC2086
	refused "a policy with reserved bits" "bits 26 and above zero" $shim --snp-policy 0x4030000
	# shellcheck disable=SC2086
	refused "a kernel of another kind" "must be a bzImage" $shim --kernel /bin/busybox
	;;
esac
rm -f $err /tmp/zeros
