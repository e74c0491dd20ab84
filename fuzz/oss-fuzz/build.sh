#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds every target as OSS-Fuzz's environment says (CC, CFLAGS, CXX, CXXFLAGS,
# LIB_FUZZING_ENGINE) into $OUT, each with its seeds, dictionary and what it reads at run time.
# BAWN_TARGETS names some of them.
set -euo pipefail
: "${CC:?}" "${CXX:?}" "${LIB_FUZZING_ENGINE:?}" "${OUT:?}"
export CFLAGS=${CFLAGS-} CXXFLAGS=${CXXFLAGS-}
here=$(dirname "$(readlink -f "$0")")
if [ -f "$here/../../mk/fuzz.mk" ]; then cd "$here/../.."; else cd "$SRC/bawn"; fi

build=${WORK:-$PWD/build}/oss
read -r -a targets <<<"${BAWN_TARGETS:-$(make -s B="$build" fuzz-list | tr '\n' ' ')}"
make -j"$(nproc)" --no-print-directory B="$build" CC="$CC" CXX="$CXX" \
	"${targets[@]/#/$build/fuzz/oss/}"

mkdir -p "$OUT/tests" "$OUT/lib"
cp -r tests/vectors "$OUT/tests/"
for target in "${targets[@]}"; do
	install "$build/fuzz/oss/$target" "$OUT/$target"
	# The machine that runs it has the base system's libraries alone.
	ldd "$OUT/$target" | awk -v out="$OUT/" '$2 == "=>" && $3 ~ /^\// && index($3, out) != 1 { print $3 }' |
		{ grep -Ev '/(libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+)\.so' || :; } |
		xargs -r cp -L -t "$OUT/lib"
	seeds=$(mktemp -d)
	python3 -B fuzz/seeds.py "$target" "$seeds"
	rm -f "$OUT/${target}_seed_corpus.zip"
	(cd "$seeds" && python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" ./*)
	rm -r "$seeds"
	for dictionary in "$target" "${target%%-*}"; do
		[ -f "fuzz/dict/$dictionary.dict" ] || continue
		cp "fuzz/dict/$dictionary.dict" "$OUT/$target.dict"
		break
	done
	printf '[libfuzzer]\nmax_len = 65536\ntimeout = 25\n' >"$OUT/$target.options"
done
