#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# debian_cpus.sh DEVICE: vCPUs come to a Debian guest while it runs, which runs programs on them, and leave it; it
# is snapshotted with one that came, and goes on with it.

. /lab/tests/common.sh
patience=120 soon=60

ask() { # command, its argument
	command=$1
	shift
	bawn "$command" --api-socket "$work/api" "$@" >"$work/said" 2>&1 || { sed 's/^/# /' "$work/said"; false; }
}
is() { ask info && grep -q "^vCPUs  *$1\$" "$work/said"; } # as bawn info says it
resize() { # to so many; a guest may be slower than the command waits for it
	ask resize "cpus=$1" || until_true $soon is "$1 of 3"
}
refuses() { # words, number
	! ask resize "cpus=$2" >/dev/null && grep -q "$1" "$work/said"
}

echo 1..21
bawn run --device "$device" --kernel /lab/guest/vmlinuz --initrd /lab/guest/initrd --memory 256M --cpus boot=1,max=3 \
	--api-socket "$work/api" --no-encryption \
	--cmdline "console=ttyS0 panic=-1 quiet bawn.test=cpus" </dev/null >"$work/out" 2>"$work/err" &
vmm=$!
check "the guest has one CPU" wait_for '^guest: cpus 0 are there' $patience
check "bawn knows how many there may be" until_true $soon is "1 of 3"
check "a second comes" resize 2
check "and the guest runs on it" eval 'wait_for "^guest: cpu 1 runs" $soon && wait_for "^guest: cpus 0-1 are" $soon'
check "a third comes" resize 3
check "and the guest runs on it" wait_for '^guest: cpu 2 runs' $soon
check "there is no fourth" refuses '1 to 3 vCPUs' 4
check "the third goes" resize 2
check "the guest knows" wait_for '^guest: cpus 0-1 are there' $soon 2
check "it comes again, and is another" resize 3
check "on which the guest runs, too" wait_for '^guest: cpu 2 runs' $soon 2
check "it goes again" resize 2
check "a snapshot has two" ask snapshot "$work/snapshot"
check "which go on" until_true $soon is "2 of 3"
check "the second goes" resize 1
check "the guest's kernel has nothing to complain of" wait_for '^guest: kernel-log ok' $soon
check "and powers off" ended 0
show

: >"$work/out"
bawn restore "$work/snapshot" --no-encryption --device "$device" --api-socket "$work/api" \
	</dev/null >"$work/out" 2>"$work/err" &
vmm=$!
check "the snapshot's guest goes on with two" until_true $soon is "2 of 3"
check "a third comes, and the guest runs on it" eval 'resize 3 && wait_for "^guest: cpu 2 runs" $soon'
check "both go" resize 1
check "and the guest powers off" ended 0
show
kill "$vmm" 2>/dev/null
exit 0
