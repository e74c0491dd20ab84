#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the lab host, on the software platform: what SNP guests cost, in instructions and in exits.
echo 1..2
/lab/tests/snp_cost /dev/bawn >/tmp/cost
grep '^#' /tmp/cost
grep -q '^ok 1 ' /tmp/cost && echo "ok 1 - costs" || echo "not ok 1 - costs"
/lab/tests/snp_exits.sh /dev/bawn >/tmp/exits
grep '^#' /tmp/exits
grep -q '^ok 1 ' /tmp/exits && echo "ok 2 - exits" || echo "not ok 2 - exits"
