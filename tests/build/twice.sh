#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs, libraries, shim and modules, built once more from the same sources in another folder, by another user,
# at another time (scripts/reproduce), are the same byte for byte as those of this build. Prints TAP.
cd "$(dirname "$0")/../.." || exit 1
build=${BAWN_BUILD:-build}
text="what is shipped is the same when somebody else builds it"
# shellcheck disable=SC2086
if said=$(scripts/reproduce --against "$build" $BAWN_REPRODUCE 2>&1); then
	echo "ok 1 - $text"
else
	echo "not ok 1 - $text"
fi
echo "# ${said//$'\n'/$'\n# '}"
echo "1..1"
