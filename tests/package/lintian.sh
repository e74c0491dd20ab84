#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lintian over the packages: no error, no warning. Prints TAP.
cd "$(dirname "$0")/../.." || exit 1
build=${BAWN_BUILD:-build}
if ! command -v lintian >/dev/null; then
	echo "ok 1 - lintian # SKIP there is none; 'scripts/deps tests' installs it"
elif mapfile -t debs < <(find "$build/package" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*') &&
	[ ${#debs[@]} -gt 0 ] && said=$(lintian --allow-root --fail-on error,warning "${debs[@]}" 2>&1); then
	echo "ok 1 - lintian has nothing to say about ${#debs[@]} packages"
else
	echo "not ok 1 - lintian"
	echo "# ${said//$'\n'/$'\n'# }"
fi
echo "1..1"
