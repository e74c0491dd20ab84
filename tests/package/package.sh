#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Boots a fresh, small Debian in a container without a network, with systemd as in a machine, and has
# tests/package/inside.sh install, use, upgrade, remove and purge the packages of build/package there. lintian
# has its say first. The small Debian is kept in build/package/base (tests/package/base).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath "${BAWN_BUILD:-build}")
base=$build/package/base

skip() {
	echo "ok 1 - packages in a fresh Debian # SKIP $1"
	echo "1..1"
	exit 0
}
[ "$(id -u)" -eq 0 ] || skip "needs root"
for tool in debootstrap systemd-nspawn lintian; do
	command -v $tool >/dev/null || skip "there is no $tool; 'scripts/deps tests' installs it"
done
tests/package/base "$base" "$BAWN_KERNEL" || { echo "not ok 1 - the small Debian"; echo "1..1"; exit 1; }

root=$(mktemp -d "$build/package/root.XXXXXX") || exit 1
trap 'rm -rf --one-file-system "$root"; rmdir "/run/systemd/nspawn/propagate/${root##*/}" 2>/dev/null' EXIT
cp -a --reflink=auto "$base/." "$root"
mkdir "$root/packages"
find "$build/package" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*' -exec cp {} "$root/packages" \;
install -m 755 tests/package/inside.sh "$root/packages"
rm "$root/usr/sbin/policy-rc.d"
cat >"$root/etc/systemd/system/package-test.service" <<-END
	[Unit]
	SuccessAction=poweroff
	FailureAction=poweroff
	[Service]
	Type=oneshot
	ExecStart=/packages/inside.sh /packages $BAWN_KERNEL
	StandardOutput=file:/packages/tap
	TimeoutStartSec=900
	[Install]
	WantedBy=multi-user.target
END
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s /etc/systemd/system/package-test.service "$root/etc/systemd/system/multi-user.target.wants/"
timeout 1100 systemd-nspawn --quiet --register=no --keep-unit --private-network --directory "$root" --boot \
	systemd.unit=multi-user.target </dev/null >"$build/package/container.log" 2>&1
cat "$root/packages/tap"
points=$(sed -n 's/^1\.\.//p' "$root/packages/tap")
[ -n "$points" ] || tail -n 30 "$build/package/container.log"
