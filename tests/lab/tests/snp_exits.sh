#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# snp_exits.sh DEVICE: exits by reason of the same guest's quiet boot on one CPU, plain and as an
# SNP guest, side by side. Of an SNP guest's exits the platform handles most by itself: these are
# in its own counters, of which some count the same exit (a device's nested fault becomes #VC).

device=$1
events=/sys/kernel/debug/bawn_platform/events
work=/tmp/snp_exits.$$
mkdir "$work"

count() { # a file's name, the kind, options
	file=$work/$1 tee=$2
	shift 2
	cp "$events" "$work/before"
	bawn run --device "$device" --kernel /lab/guest/vmlinuz --initrd /lab/guest/initrd --memory 256M \
		--tee "$tee" "$@" --stats --cmdline "console=ttyS0 quiet panic=-1 bawn.test=smoke bawn.end=poweroff" \
		</dev/null >"$work/out" 2>"$work/err" && grep -q '^guest: smoke ok' "$work/out" || return 1
	sed -n 's/^bawn: vcpu 0: userspace \(.*\)/to_VMM_\1/p; s/^bawn: vcpu 0: module \(.*\)/\1/p' \
		"$work/err" >"$file"
	# What was counted meanwhile.
	awk 'NR == FNR { before[$1] = $2; next }
		$2 != before[$1] && !/command/ { print "platform_" $1, $2 - before[$1] }' \
		"$work/before" "$events" >>"$file"
}

echo 1..1
if count plain none && count snp snp --firmware /lab/shim.bin; then
	printf '# %-24s %9s %9s\n' exits plain SNP
	awk 'NR == FNR { plain[$1] = $2; if (!($1 in seen)) { seen[$1] = 1; name[n++] = $1 }; next }
		{ snp[$1] = $2; if (!($1 in seen)) { seen[$1] = 1; name[n++] = $1 } }
		END { for (i = 0; i < n; i++) printf "# %-24s %9d %9d\n", name[i], plain[name[i]], snp[name[i]] }' \
		"$work/plain" "$work/snp"
	echo "ok 1 - both boot"
else
	echo "not ok 1 - both boot"
	sed 's/^/# /' "$work/err"
fi
rm -rf "$work"
