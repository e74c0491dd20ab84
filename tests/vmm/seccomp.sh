#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How many system calls each process of bawn run may make, and whether policy/seccomp/compile refuses
# what is no policy.

compile=${BAWN_BUILD:-build}/seccomp/compile
points=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

check() { # text, command
	points=$((points + 1)) text=$1
	shift
	if "$@"; then echo "ok $points - $text"; else echo "not ok $points - $text"; fi
}
at_most() { # policy, limit
	n=$($compile --count "policy/seccomp/$1.policy") && echo "# $1: $n system calls, at most $2" && [ "$n" -le "$2" ]
}
refused() { # a line
	printf '%s\n' "$1" >"$dir/policy"
	! $compile "$dir/policy" "$dir/filter" 2>"$dir/err" && grep -q "policy:1: " "$dir/err"
}
for policy in policy/seccomp/*.policy; do
	name=$(basename "$policy" .policy)
	limit=14
	[ "$name" = machine ] && limit=12
	[ "$name" = api ] && limit=22
	check "$name has few system calls" at_most "$name" $limit
done
check "none of them opens files, makes processes or memory that runs" \
	sh -c "! grep -Ew '^(open|openat|openat2|execve|execveat|fork|vfork|clone|clone3|ptrace|kill|mount|bpf|process_vm_readv|process_vm_writev)' policy/seccomp/*.policy"
for line in nonsense "read arg6 is 1" "read arg0" "read arg0 is" "read arg0 is NOBODY" "read arg0 was 1" \
	"read arg0 is 0x100000000"; do
	check "no policy: $line" refused "$line"
done
echo "1..$points"
