#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# record.sh DEVICE: records the exits of a Debian guest's first seconds by bawn.ko's tracepoint, and
# gives the recording out in lines "# file record.gz: BASE64", which fuzz/record2seeds takes from the
# run's channel.log. Of exits that are alike the first three are kept.

. /lab/tests/common.sh
event=events/bawn/bawn_exit_record

# Alike: kind, code, what it is about, opcode; of a nested fault the page, too. The host's interrupts
# and the guest's windows for them come anywhere.
keep() {
	awk '/bawn_exit_record: / {
		for (i = 1; i <= NF; i++) {
			if ($i == "kind") kind = $(i + 1)
			if ($i == "info") { info = $(i + 1); about = $(i + 2) }
			if ($i == "insn") insn = substr($(i + 1), 1, 8)
		}
		key = kind
		if (kind != 0 && kind != 10)
			key = key " " info " " insn (kind == 9 ? substr(about, 1, length(about) - 3) : "")
		if (seen[key]++ < 3 && kept++ < 6000) print
	}' "$1"
}

boot() { # seconds, where its output goes
	bawn run --device "$device" --kernel /lab/guest/vmlinuz --initrd /lab/guest/initrd --memory 256M \
		--rng on --cmdline "console=ttyS0 panic=-1 bawn.test=smoke bawn.end=poweroff" \
		</dev/null >"$2" 2>&1 &
	vmm=$!
	left=$(($1 * 10 * ${LAB_SLOWER:-1}))
	while [ $left -gt 0 ] && kill -0 $vmm 2>/dev/null && ! grep -q '^guest: up' "$2"; do
		left=$((left - 1))
		usleep 100000
	done
	kill $vmm 2>/dev/null
	wait $vmm
}

kinds() { sed -n 's/.* kind \([0-9]*\) .*/\1/p' "$work/record" | sort -u | wc -l; }
many_kinds() { [ "$(kinds)" -ge 6 ]; }
whole() { ! grep -qv 'vcpu [0-9]* kind .* gpr {.*} insn [0-9a-f]*$' "$work/record"; }
quiet() { ! grep -q bawn_exit_record trace; }

echo 1..4
[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing
cd /sys/kernel/tracing || exit 1
check "the tracepoint is off" grep -q 0 $event/enable
echo 8192 >buffer_size_kb
echo 1 >$event/enable
cat trace_pipe >"$work/pipe" &
reader=$!
boot 20 "$work/out"
echo 0 >$event/enable
sleep 1
kill $reader
keep "$work/pipe" >"$work/record"
rm "$work/pipe"
echo >trace
echo "# $(wc -l <"$work/record") exits of $(kinds) kinds are kept"
check "a boot has exits of several kinds" many_kinds
check "each line has all of its exit" whole
check "what is off records nothing" quiet
gzip -c "$work/record" | base64 | sed 's/^/# file record.gz: /'
rm -rf "$work"
