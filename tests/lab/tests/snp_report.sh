#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# snp_report.sh DEVICE: an unmodified Debian guest asks for an attestation report through configfs-tsm;
# bawn-verify takes it with the software platform's root, and not without.

. /lab/tests/common.sh
state=/run/platform

hex() { head -c "$1" /dev/urandom | xxd -p | tr -d '\n'; }
verify() { bawn-verify "$@" >"$work/verdict" 2>&1; }
# The exit code for evidence that was judged, and is not trusted.
not_trusted() { "$@"; [ $? = 1 ]; }
with_root() { verify --root "$state/ark.pem" --endorsements "$work/certs.bin" "$@" "$work/report.bin"; }
# The guest's driver gives them up to the end of the last one; the file is filled up with zeros.
same_certs() {
	size=$(wc -c <"$work/certs.bin")
	[ "$size" -gt 3000 ] && head -c "$size" "$state/certs.bin" | cmp -s - "$work/certs.bin"
}
# What stands between two lines of the virtio console.
part() { tr -d '\r' <"$work/console" | sed -n "/^report: $1$/,/^report: /p" | grep -v '^report:' | base64 -d; }

data=$(hex 64) host_data=$(hex 32)
cat >"$work/vm.json" <<END
{"payload":{"kernel":"/lab/guest/vmlinuz","initramfs":"/lab/guest/initrd","firmware":"/lab/shim.bin",
 "host_data":"$host_data",
 "cmdline":"console=ttyS0 panic=-1 bawn.test=snp,report bawn.data=$data"},
 "cpus":{"boot_vcpus":2,"max_vcpus":2},"memory":{"size":268435456},
 "console":{"mode":"File","file":"$work/console"},
 "platform":{"sev_snp":true,"snp_policy":"0x30000","snp_certs":"$state/certs.bin"}}
END

echo 1..10
want=$(bawn-measure snp --config "$work/vm.json")
check "bawn-measure predicts a digest" [ ${#want} = 96 ]
bawn run --device "$device" --config "$work/vm.json" --expect-measurement "$want" --timeout $((400 * ${LAB_SLOWER:-1})) \
	</dev/null >"$work/out" 2>"$work/err"
check "the guest runs to its end" [ $? = 0 ]
part begin >"$work/report.bin"
part certificates >"$work/certs.bin"
check "it has got a report through sev-guest" grep -q '^guest: report ok sev_guest' "$work/out"
check "and the certificates that the host gave" same_certs
check "without the platform's root the report is not trusted" \
	not_trusted verify --endorsements "$work/certs.bin" "$work/report.bin"
sed 's/^/# /' "$work/verdict" | head -n 3
check "with it, it is: of this guest, with this data" with_root \
	--expect "snp.measurement=$want" --expect "snp.report_data=$data" \
	--expect "snp.host_data=$host_data" --expect snp.policy=0x30000 --expect snp.vmpl=0
sed 's/^/# /' "$work/verdict" | head -n 20
check "another measurement is refused" not_trusted with_root --expect "snp.measurement=$(hex 48)"
check "another policy is refused" not_trusted with_root --expect snp.policy=0xb0000
check "other data are refused" not_trusted with_root --expect "snp.report_data=$(hex 64)"
printf x | dd of="$work/report.bin" bs=1 seek=200 conv=notrunc 2>/dev/null
check "a changed report is refused" not_trusted with_root
tr -d '\r' <"$work/out" | grep '^guest:' | sed 's/^/# /'
grep -q '^guest:' "$work/out" || tail -n 20 "$work/out" | sed 's/^/# console: /'
sed 's/^/# bawn: /' "$work/err"
rm -rf "$work"
