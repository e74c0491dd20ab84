#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# digest.sh DEVICE: what bawn.ko measures is what bawn-measure predicts, for eleven configurations;
# one changed byte of kernel, initrd or command line changes both. Each VM runs for a second.

device=$1
work=/tmp/digest.$$
mkdir "$work"
points=0

ok() { # whether, text
	points=$((points + 1))
	if [ "$1" = yes ]; then echo "ok $points - $2"; else echo "not ok $points - $2"; fi
}

# The digest that the module reports for the configuration file.
measured() {
	bawn run --device "$device" --config "$1" --timeout 1 --no-reboot \
		>/dev/null 2>"$work/err" </dev/null
	sed -n 's/.*launch digest: \([0-9a-f]\{96\}\)$/\1/p' "$work/err"
}

config() { # cpus, bytes of memory, payload, rest
	echo "{\"cpus\":{\"boot_vcpus\":$1,\"max_vcpus\":$1},\"memory\":{\"size\":$2},\"payload\":{$3}$4}"
}

compare() { # text; the configuration is on standard input
	cat >"$work/vm.json"
	want=$(bawn-measure plain --config "$work/vm.json" 2>"$work/predict.err")
	have=$(measured "$work/vm.json")
	if [ -n "$want" ] && [ "$want" = "$have" ]; then ok yes "$1"; else
		ok no "$1"
		echo "# predicted $want $(cat "$work/predict.err")"
		echo "# measured  $have"
		sed 's/^/# /' "$work/err"
	fi
	echo "$have" >>"$work/all"
}

# A copy of a file with the byte at the offset inverted.
flip() { # file, offset, copy
	cp "$1" "$3"
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059 # the format is the byte
	printf "\\$(printf %03o $((byte ^ 255)))" | dd of="$3" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

kernel=/lab/guest/vmlinuz initrd=/lab/guest/initrd M=1048576
head -c 100000 "$initrd" >"$work/initrd"
flip "$work/initrd" 70000 "$work/initrd2"
# Past the setup sectors, in the compressed kernel.
flip "$kernel" 1000000 "$work/kernel2"
K="\"kernel\":\"$kernel\"" I="\"initramfs\":\"$work/initrd\""
off=',"serial":{"mode":"Null"}'

echo "1..15"
config 1 $((128 * M)) "$K" "$off" | compare "kernel alone"
config 1 $((128 * M)) "$K,$I" "$off" | compare "with an initrd"
config 1 $((128 * M)) "$K,$I,\"cmdline\":\"console=ttyS0 quiet\"" "$off" | compare "with a command line"
config 1 $((128 * M)) "$K,$I,\"cmdline\":\"console=ttyS0 quieT\"" "$off" | compare "one letter else"
config 1 $((128 * M)) "$K,\"initramfs\":\"$work/initrd2\"" "$off" | compare "one byte of the initrd else"
config 1 $((128 * M)) "\"kernel\":\"$work/kernel2\"" "$off" | compare "one byte of the kernel else"
config 2 $((128 * M)) "$K" "$off" | compare "two vCPUs"
config 2 $((128 * M)) "$K" "$off" | sed 's/"max_vcpus":2/"max_vcpus":5/' | compare "two of five vCPUs"
config 64 $((256 * M)) "$K" "$off" | compare "sixty-four vCPUs"
config 3 $((5120 * M)) "$K,$I" "$off" | compare "memory above 4 GiB"
config 1 $((128 * M)) "$K" ',"serial":{"mode":"Off"}' | compare "no serial port"
config 4 $((512 * M)) "$K,$I" "$off"',"console":{"mode":"Null"},"rng":{"src":"/dev/urandom"}' |
	compare "console and entropy devices"

# All twelve configurations have digests of their own.
if [ "$(sort -u "$work/all" | grep -c .)" -eq 12 ]; then ok yes "digests differ"; else ok no "digests differ"; fi

config 1 $((128 * M)) "$K" "$off" >"$work/vm.json"
a=$(measured "$work/vm.json") b=$(measured "$work/vm.json")
if [ -n "$a" ] && [ "$a" = "$b" ]; then ok yes "the same twice"; else ok no "the same twice"; fi
echo "{" >"$work/vm.json"
if bawn-measure plain --config "$work/vm.json" 2>"$work/err"; then ok no "a broken configuration is refused"; else
	if grep -q "vm.json" "$work/err"; then ok yes "a broken configuration is refused"; else ok no "a broken configuration is refused"; fi
fi
rm -rf "$work"
