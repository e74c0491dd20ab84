# SPDX-License-Identifier: Apache-2.0
# JOSE (attest/jose): keys, encryption and tokens as JSON.

jose_src := $(wildcard attest/jose/*.c)
user_src += $(jose_src)

# tests/unit/jose/x_test.c
$(B)/lib/libjose-asan.a: $(call objs,asan,$(jose_src))
jose_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/jose/*_test.c))
$(jose_tests): $(B)/lib/libjose-asan.a

fuzz_rooms += jose
fuzz_lib_jose := $(jose_src)
fuzz_ld_jose := -ljansson -lcrypto -lm
