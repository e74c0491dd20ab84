# SPDX-License-Identifier: Apache-2.0
# What is done with a finished build: inspected, and built a second time. After all other rooms.

.PHONY: build-test reproduce
build_tests := $(wildcard tests/build/binaries.py tests/build/reproduce.py)
build-test: $(programs) $(attest_libs) $(policy_libs) $(modules) $(platform_modules) ## inspect every shipped binary
	@BAWN_BUILD=$(B) CC="$(CC)" tests/tap.py build $(build_tests)

# Byte for byte the same, in another folder, under another user, at another time?
reproduce: ## build programs, libraries, shim and modules twice elsewhere, and compare every byte
	@scripts/reproduce programs $(B)/kernel/cloud/bawn.ko $(B)/platform/cloud/bawn_platform.ko
