#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# differ.sh NODE PROGRAM ARGUMENT...: runs PROGRAM on bawn.ko, then on stock KVM in the same boot, and
# compares what the devices answered (answers.h). Differences must be those that the data file
# lists, a line "case | bawn.ko's answer | KVM's answer | reason" each, where * stands for anything;
# a listed one that does not occur is a failure too. On one device alone nothing is compared.
# needs-both
# needs-as: tests/lab/tests/table_differences.txt table_differences.txt
# needs-as: tests/lab/tests/stream_differences.txt stream_differences.txt
node=$1 program=$2
shift 2
kind=${node#/dev/}
mine=/tmp/$program.$kind other=/tmp/$program.bawn
"/lab/tests/$program" "$node" "$mine" "$@"
status=$?
echo "# $(wc -l <"$mine") answers of $kind, $(cut -d. -f1 /proc/uptime) s after the boot"
[ "$kind" = kvm ] || exit $status
if [ ! -e "$other" ]; then
	echo "# nothing to compare with: bawn.ko was not asked in this boot"
	exit $status
fi

awk -F ' [|] ' -v status=$status '
function glob(text) { gsub(/[].[^$+?(){}\\]/, "\\\\&", text); gsub(/\*/, ".*", text); return "^" text "$" }
function cut(line) { i = index(line, ": "); name = substr(line, 1, i - 1); said = substr(line, i + 2) }
FILENAME ~ /differences/ {
	if ($0 !~ /^#|^$/) { n++; text[n] = $0; where[n] = glob($1); ours[n] = glob($2); theirs[n] = glob($3) }
	next
}
FILENAME ~ /bawn$/ { cut($0); bawn[name] = said; next }
{
	cut($0)
	seen[name] = 1
	if (!(name in bawn)) { print "# " name ": KVM alone has it: " said; bad++; next }
	if (bawn[name] == said) { same++; next }
	for (k = 1; k <= n; k++)
		if (name ~ where[k] && bawn[name] ~ ours[k] && said ~ theirs[k]) break
	if (k <= n) { used[k]++; listed++; next }
	print "# " name ": bawn.ko " bawn[name] ", KVM " said
	bad++
}
END {
	for (name in bawn) if (!(name in seen)) { print "# " name ": bawn.ko alone has it: " bawn[name]; bad++ }
	for (k = 1; k <= n; k++) if (!used[k]) { print "# listed, but does not occur: " text[k]; bad++ }
	print "# " same " the same, " listed + 0 " different and listed, " bad + 0 " not as listed"
	exit bad > 0 || status
}' "/lab/${program}_differences.txt" "$other" "$mine"
