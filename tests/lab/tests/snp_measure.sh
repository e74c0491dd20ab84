#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# snp_measure.sh DEVICE: the firmware measures what bawn-measure predicts, for several configurations;
# one changed byte of kernel, initrd, command line or shim, or another number of vCPUs, is another
# launch: --expect-measurement refuses it before anything runs, and so does the firmware, given an
# ID block. The policy is not in the digest: it stands in the report (snp_report.sh judges it there)
# and in the ID block, by which the firmware refuses another. Each guest runs for a second.
# needs: /usr/bin/openssl

device=$1
work=/tmp/snp_measure.$$
mkdir "$work"
points=0

check() { # text, then the command that must succeed
	text=$1
	shift
	points=$((points + 1))
	if "$@"; then echo "ok $points - $text"; else
		echo "not ok $points - $text"
		sed 's/^/# /' "$work/err"
	fi
}

# A copy of a file with the byte at the offset inverted.
flip() { # file, offset, copy
	cp "$1" "$3"
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059 # the format is the byte
	printf "\\$(printf %03o $((byte ^ 255)))" | dd of="$3" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

config() { # kernel, initrd, shim, command line, vCPUs
	cat >"$work/vm.json" <<END
{"payload":{"kernel":"$1","initramfs":"$2","firmware":"$3","cmdline":"$4"},
 "cpus":{"boot_vcpus":$5,"max_vcpus":$5},"memory":{"size":134217728},
 "serial":{"mode":"Null"},"platform":{"sev_snp":true}}
END
}
predict() { bawn-measure snp --config "$work/vm.json" "$@" 2>"$work/err"; }
run() { # options; whether it was launched
	bawn run --device "$device" --config "$work/vm.json" --timeout 1 --no-reboot "$@" \
		</dev/null >/dev/null 2>"$work/err"
	grep -q '^launch digest: ' "$work/err"
}
measured() { [ "$(sed -n 's/^launch digest: //p' "$work/err")" = "$1" ]; }
refused() { # words of the message, options
	words=$1
	shift
	! run "$@" && grep -q "$words" "$work/err"
}
# Launched with an ID block of the predicted digest: then the firmware measured the same.
agrees() { want=$(predict) && run --expect-measurement "$want" && measured "$want"; }

kernel=/lab/guest/vmlinuz shim=/lab/shim.bin initrd=$work/initrd text="console=ttyS0 quiet"
head -c 100000 /lab/guest/initrd >"$initrd"
flip "$initrd" 70000 "$work/initrd2"
flip "$kernel" 1000000 "$work/kernel2"
flip "$shim" 5000 "$work/shim2"

echo 1..21
config "$kernel" "$initrd" "$shim" "$text" 2
base=$(predict)
check "the firmware measures the predicted digest" agrees
/usr/bin/openssl ecparam -name secp384r1 -genkey -noout -out "$work/key.pem" 2>/dev/null
predict --id-block "$work/id" --id-key "$work/key.pem" --author-key "$work/key.pem" >/dev/null ||
	sed 's/^/# /' "$work/err"
check "an ID block with an author key is taken" run --id-block "$work/id"
check "not with another policy" refused "ID block" --id-block "$work/id" --snp-policy 0xb0000
check "which is not in the digest" run --expect-measurement "$base" --snp-policy 0xb0000
check "so that the same is measured" measured "$base"

other() { # text, then what config takes
	what=$1
	shift
	config "$@"
	check "$what: another digest is predicted" [ "$(predict)" != "$base" ]
	check "$what: refused before it runs" refused "is expected to be $base" --expect-measurement "$base"
	check "$what: refused by the firmware" refused "measured another launch" --id-block "$work/id"
}
other "one byte of the kernel" "$work/kernel2" "$initrd" "$shim" "$text" 2
other "one byte of the initrd" "$kernel" "$work/initrd2" "$shim" "$text" 2
other "one byte of the shim" "$kernel" "$initrd" "$work/shim2" "$text" 2
other "one letter of the command line" "$kernel" "$initrd" "$shim" "console=ttyS0 quieT" 2
other "another number of vCPUs" "$kernel" "$initrd" "$shim" "$text" 3
check "and that digest is the right one" agrees
rm -rf "$work"
