#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the library below a temporary DESTDIR and uses it as another project would: the
# example of bawn-attest(3), by pkg-config, against the shared and the static library.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

points=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
root=$dir/root
vector=tests/vectors/snp/milan-v3-vcek-05b7438a
digest=$(python3 -c 'import sys; print(open(sys.argv[1], "rb").read()[0x90:0xc0].hex())' \
	$vector.report.bin)

check() { # text, command
	points=$((points + 1))
	local text=$1
	shift
	if "$@" >"$dir/log" 2>&1; then
		echo "ok $points - $text"
	else
		echo "not ok $points - $text"
		sed 's/^/# /' "$dir/log"
	fi
}

# Names that the headers declare as part of the interface.
declared() {
	cat include/bawn/attest.h include/bawn/measure_launch.h include/bawn/vmsa.h 2>/dev/null |
		tr '\n' ' ' | grep -oE 'BAWN_ATTEST_API [^;([]*[[(]' | grep -oE 'bawn_[a-z0-9_]+[[(]$' |
		tr -d '[(' | sort -u
}
mapped() {
	grep -oE '^[[:space:]]*bawn_[a-z0-9_]+;' attest/lib/libbawn-attest.map | tr -d ';[:blank:]' | sort -u
}
exported() { nm -D --defined-only "$1" | awk '$2 ~ /^[TRDB]$/ { print $3 }' | sort; }
global_in_archive() { nm -g --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort -u; }
same() { diff <("$1") <("$2"); }
versioned() { ! exported "$so" | grep -v '^BAWN_ATTEST_0$' | grep -v '@@BAWN_ATTEST_0$'; }
names_of_so() { exported "$so" | sed 's/@@.*//' | grep -v '^BAWN_ATTEST_0$'; }
names_of_a() { global_in_archive "$archive"; }
installed() {
	local f
	for f in lib/libbawn-attest.so.0 lib/libbawn-attest.so lib/libbawn-attest.a \
		lib/pkgconfig/bawn-attest.pc include/bawn/attest.h include/bawn/status.h \
		bin/bawn-verify bin/bawn-measure share/man/man1/bawn-verify.1 \
		share/man/man3/bawn-attest.3 share/bash-completion/completions/bawn-verify \
		share/bash-completion/completions/bawn-measure bin/bawn-attestd bin/bawn-audit \
		bin/bawn-policy bin/bawn-agent share/man/man8/bawn-attestd.8 \
		share/man/man1/bawn-audit.1 share/man/man1/bawn-policy.1 share/man/man1/bawn-agent.1 \
		share/bawn/policy/strict.json share/bawn/schema/config.schema.json \
		lib/systemd/system/bawn-attestd.service; do
		[ -e "$root/usr/$f" ] || { echo "no $f"; return 1; }
	done
}
service() { # the unit starts the installed program; that runs, and takes its own configuration
	local unit=$root/usr/lib/systemd/system/bawn-attestd.service start
	start=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")
	[ "$(stat -c %a "$unit")" = 644 ] && [ -x "$root$start" ] || { echo "$start"; return 1; }
	"$root$start" --dev --check-config --dir "$dir/dev" &&
		python3 -m json.tool "$root/usr/share/bawn/schema/config.schema.json" >"$dir/schema"
}
headers_alone() { # each header compiles by itself, in C and C++, without the source tree
	local h
	for h in "$root"/usr/include/bawn/*.h; do
		echo "#include <bawn/${h##*/}>" >"$dir/h.c"
		cc -std=c11 -Wall -Wextra -Werror -pedantic -I"$root/usr/include" -c -o "$dir/h.o" \
			"$dir/h.c" || return 1
	done
	echo '#include <bawn/attest.h>' >"$dir/h.cc"
	! command -v c++ >/dev/null ||
		c++ -Wall -Wextra -Werror -I"$root/usr/include" -c -o "$dir/h.o" "$dir/h.cc"
}
run() { # program: the right answer, and only that
	local status=0
	LD_LIBRARY_PATH=$root/usr/lib "$1" $vector.report.bin $vector.vcek.der >"$dir/out" || status=1
	cat "$dir/out"
	[ "$status" -eq 0 ] || return 1
	grep -q ': trusted$' "$dir/out" && grep -q "^measurement $digest\$" "$dir/out" || return 1
	! LD_LIBRARY_PATH=$root/usr/lib "$1" $vector.report.bin >"$dir/out2"
}
needs() { readelf -d "$1" | grep -q "NEEDED.*$2"; }
lacks() { ! needs "$1" "$2"; }
soname() { readelf -d "$so" | grep -q 'SONAME.*\[libbawn-attest.so.0\]'; }
hardened() { readelf -lW "$so" | grep -q GNU_RELRO && readelf -d "$so" | grep -q BIND_NOW &&
	! readelf -lW "$so" | grep GNU_STACK | grep -q E && ! readelf -d "$so" | grep -q TEXTREL; }
pc_version() { [ "$(pkg-config --modversion bawn-attest)" = \
	"$(sed -n 's/^#define BAWN_VERSION "\(.*\)"/\1/p' include/bawn/version.h)" ]; }

pages() { # nothing to complain of, where there is groff
	local page
	command -v groff >/dev/null || return 0
	for page in "$@"; do
		groff -man -ww -Tutf8 "$page" 2>&1 >/dev/null | grep . && return 1
	done
	return 0
}

# A program with names of its own that the library uses inside: none may clash.
cat >"$dir/clash.c" <<'END'
#include <bawn/attest.h>
int js_parse(void), hex_decode(void), sig_verify(void), arena_alloc(void), x509_parse(void);
int js_parse(void) { return 1; }
int hex_decode(void) { return 1; }
int sig_verify(void) { return 1; }
int arena_alloc(void) { return 1; }
int x509_parse(void) { return 1; }
int main(void) { return !bawn_attest_version()[0]; }
END

check "make install" make --no-print-directory install DESTDIR="$root" prefix=/usr
so=$root/usr/lib/libbawn-attest.so.0
archive=$root/usr/lib/libbawn-attest.a
export PKG_CONFIG_PATH=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
sed -n '/example begins/,/example ends/p' docs/man/bawn-attest.3 | sed '/^\.\\"/d; s/\\e/\\/g' >"$dir/example.c"
read -ra cflags <<<"$(pkg-config --cflags bawn-attest)"
read -ra shared <<<"$(pkg-config --libs bawn-attest)"
read -ra private <<<"$(pkg-config --libs --static bawn-attest | sed 's/-lbawn-attest//')"
cc=(cc -std=c11 -Wall -Wextra -Werror)

check "all files are there" installed
check "the service's unit starts what is installed" service
check "pkg-config knows the version" pc_version
check "headers stand alone" headers_alone
check "the map names what the headers declare" same declared mapped
check "the shared library exports the map's names" same names_of_so mapped
check "... each with its version" versioned
check "the static library has these names only" same names_of_a mapped
check "the soname" soname
check "hardening of the shared library" hardened
check "the shared library needs libcrypto" needs "$so" libcrypto
check "... and no JSON or seccomp library" lacks "$so" 'jansson|libseccomp'
check "the example compiles against the shared library" \
	"${cc[@]}" "${cflags[@]}" -o "$dir/shared" "$dir/example.c" "${shared[@]}"
check "... uses it" needs "$dir/shared" 'libbawn-attest.so.0'
check "... and judges" run "$dir/shared"
check "the example compiles against the static library" \
	"${cc[@]}" "${cflags[@]}" -o "$dir/static" "$dir/example.c" "$archive" "${private[@]}"
check "... uses no shared one" lacks "$dir/static" libbawn-attest
check "... and judges" run "$dir/static"
check "a program's own names do not clash (static)" \
	"${cc[@]}" "${cflags[@]}" -o "$dir/clash" "$dir/clash.c" "$archive" "${private[@]}"
check "the man pages are well-formed" pages docs/man/bawn-verify.1 docs/man/bawn-attest.3 \
	docs/man/bawn-attestd.8
echo "1..$points"
