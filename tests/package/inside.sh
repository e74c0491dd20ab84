#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is done with the packages inside a fresh Debian that systemd has booted: install, use, upgrade, remove,
# purge. Prints TAP. $1: the folder of the packages; $2: the kernel whose headers are there.
set -uo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
packages=$1 kernel=$2
points=0
version=$(dpkg-deb -f "$packages"/bawn_*.deb Version)
names="bawn bawn-tools bawn-attestd bawn-guest-agent bawn-dkms libbawn-attest0 libbawn-policy0 libbawn-attest-dev"
work=/tmp/bawn-test
mkdir -p $work

check() { # text, command
	points=$((points + 1))
	local text=$1
	shift
	if "$@" >$work/log 2>&1 </dev/null; then
		echo "ok $points - $text"
	else
		echo "not ok $points - $text"
		tail -n 20 $work/log | sed 's/^/# /'
	fi
}
fails() { ! "$@"; }

# Every path, and every user and group; not what logs, caches, dpkg and DKMS itself keep.
state() {
	find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log \
		-o -path /var/cache -o -path /var/tmp -o -path /var/lib/dpkg -o -path "$packages" \
		-o -path '/var/lib/dkms/mok.*' -o -path '/var/lib/systemd/*' ! -path '*bawn*' \
		-o -path "/lib/modules/$kernel/modules.*" -o -path "/usr/lib/modules/$kernel/modules.*" \
		-o -path '/etc/*-' -o -path /etc/ld.so.cache \) -prune -o -print | sort
	cut -d: -f1 /etc/passwd /etc/group | sort
	# What DKMS leaves: its module's folder, and none of ours in it.
	find /var/lib/dkms /lib/modules -name '*bawn*'
}
install_all() { dpkg -i "$packages"/*.deb || { tail -n 15 /var/lib/dkms/bawn/*/build/make.log; return 1; }; }
mode() { # path, mode owner:group
	[ "$(stat -c '%a %U:%G' "$1")" = "$2" ] || { stat -c '%a %U:%G %n' "$1"; return 1; }
}
commands() { # each is there, says its version, has its manual
	local c
	for c in bawn bawn-verify bawn-measure bawn-policy bawn-audit bawn-attestd bawn-agent; do
		"$c" --version | grep -q "^$c $version" || { "$c" --version; return 1; }
		"$c" --help >/dev/null || return 1
		[ -e "$(echo /usr/share/man/man[18]/$c.[18].gz)" ] || { echo "no manual of $c"; return 1; }
	done
}
not_there() { # developers' things
	local f
	for f in bawn-platformd bawn-fuzz; do
		! command -v $f || return 1
	done
	! find /usr /lib -xdev -name '*bawn_platform*' | grep .
}
library() { # a program is built with what the package brings
	cat >$work/x.c <<-'END'
		#include <bawn/attest.h>
		#include <stdio.h>
		int main(void) { return puts(bawn_attest_version()) < 0; }
	END
	read -ra flags <<<"$(pkg-config --cflags --libs bawn-attest)"
	gcc -o $work/x $work/x.c "${flags[@]}" && [ "$($work/x)" = "$version" ]
}
module() { modinfo -k "$kernel" -F version bawn | grep -Fx "$version"; }
module_signed() { modinfo -k "$kernel" -F signer bawn | grep .; }
units() { systemd-analyze verify /lib/systemd/system/bawn-attestd.service /lib/systemd/system/bawn@.service; }
exposure() { # unit, limit in tenths; the first says it as a number
	systemd-analyze security --no-pager --threshold="$2" "$1" || { systemd-analyze security --no-pager "$1" | tail -n 1; return 1; }
}
policies() { bawn-policy check /usr/share/bawn/policy/strict.json; }

# ---- The service ----

configure() {
	cd /etc/bawn || return 1
	openssl req -x509 -newkey rsa:2048 -noenc -subj /CN=localhost -keyout server.key -out server.pem -days 2
	openssl rand -out storage.key 32
	cat >attestd.json <<-'END'
		{
		  "listen": ["tcp:127.0.0.1:8443"], "status": {"listen": ["tcp:127.0.0.1:8445"]},
		  "tls": {"certificate": "server.pem", "key": "server.key"},
		  "keys": {"storage": {"file": "storage.key"}}, "workers": 1,
		  "tenants": {"default": {"policy": "/usr/share/bawn/policy/baseline.json"}}
		}
	END
	chown root:bawn-attestd server.key storage.key attestd.json
	chmod 640 server.key storage.key attestd.json
}
healthy() {
	local answer i
	# After an upgrade nobody has waited for it yet.
	for ((i = 0; i < 120; i++)); do
		systemctl is-active --quiet bawn-attestd && break
		sleep 0.5
	done
	exec 3<>/dev/tcp/127.0.0.1/8445 || { systemctl status -n 20 --no-pager bawn-attestd; return 1; }
	printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
	answer=$(head -n 1 <&3)
	exec 3>&-
	[[ $answer == *" 200 "* ]] || { echo "$answer"; journalctl -u bawn-attestd -n 20; return 1; }
}
tls() { openssl s_client -connect 127.0.0.1:8443 -CAfile /etc/bawn/server.pem -verify_return_error; }
start() { systemctl enable --now bawn-attestd || { journalctl -u bawn-attestd -n 20 --no-pager; return 1; }; }
user_of() { [ "$(ps -o user:20= -p "$(systemctl show -P MainPID bawn-attestd)" | tr -d ' ')" = bawn-attestd ]; }
policy_used() { ! journalctl -o cat -u bawn-attestd | grep 'denies everything'; }
no_user() { ! getent passwd bawn-attestd && ! getent group bawn-attestd; }
anew() { [ "$(main_pid)" -gt 0 ] && [ "$(main_pid)" != "$1" ]; }
main_pid() { systemctl show -P MainPID bawn-attestd; }
inactive() { ! systemctl is-active --quiet bawn-attestd; }
enabled() { systemctl is-enabled --quiet bawn-attestd; }

# ---- A machine ----

# Nothing runs here: there is no KVM. But the unit starts the program, which reads its configuration and says so.
machine() {
	echo '{"payload": {"kernel": "/nowhere/vmlinuz"}, "serial": {"mode": "Null"}}' >/etc/bawn/machines/one.json
	systemctl start bawn@one
	local i found=1
	for ((i = 0; i < 60 && found; i++)); do
		journalctl -o cat -u bawn@one | grep '^bawn: .*\(/nowhere/vmlinuz\|/dev/kvm\|/dev/bawn\)' && found=0
		sleep 0.5
	done
	[ "$found" -eq 0 ] || journalctl -u bawn@one --no-pager | tail -n 20
	systemctl stop bawn@one
	rm -rf /etc/bawn/machines/one.json /var/lib/private/bawn /var/lib/bawn
	return "$found"
}

# ---- The order of a package's life ----

state >$work/before
check "the packages install" install_all
check "nothing is left half done" dpkg --audit
check "every command runs, is of this version and has a manual" commands
check "no developers' tool is among them" not_there
check "the units are right" units
check "the service's exposure is under 1.5" exposure bawn-attestd.service 14
check "a machine's exposure is under 1.0" exposure bawn@x.service 9
check "/dev/bawn is for the group kvm" grep -q 'GROUP="kvm", MODE="0660"' /lib/udev/rules.d/60-bawn.rules
check "... which there is" getent group kvm
check "the shipped policies are good" policies
check "a program is built with the library" library
check "DKMS built the module for $kernel" module
check "... and signed it" module_signed
check "/etc/bawn is the service's to read only" mode /etc/bawn "750 root:bawn-attestd"
check "a machine's unit starts bawn with its configuration" machine
check "the service is neither started" inactive
check "... nor enabled" fails enabled
check "it can be configured" configure
check "... as its check says" runuser -u bawn-attestd -- bawn-attestd --check-config --config /etc/bawn/attestd.json
check "it starts under its unit" start
check "... as its user" user_of
check "... and answers" healthy
check "... with TLS" tls
check "... by the policy that it was given" policy_used
check "its data is its own" mode /var/lib/bawn-attestd "700 bawn-attestd:bawn-attestd"
check "... its database too" mode /var/lib/bawn-attestd/attestd.db "600 bawn-attestd:bawn-attestd"
first=$(main_pid)
unpack() { dpkg --unpack "$packages"/bawn-attestd_*.deb; }
check "it runs while a new version is unpacked" unpack
check "... as before" [ "$(main_pid)" = "$first" ]
sum=$(sha256sum /etc/bawn/*.*)
check "an upgrade over itself" install_all
check "... starts the service anew" anew "$first"
check "... which answers" healthy
check "... and is enabled still" enabled
check "... keeps what an administrator wrote" [ "$sum" = "$(sha256sum /etc/bawn/*.*)" ]
check "... and the module" module
# shellcheck disable=SC2086
check "removal" dpkg --remove $names
check "... ends the service" inactive
check "... takes the module from the kernel's tree" fails module
check "... leaves configuration" test -e /etc/bawn/attestd.json
check "... and data" test -e /var/lib/bawn-attestd/attestd.db
rm -f /etc/bawn/*.*
# shellcheck disable=SC2086
check "purging" dpkg --purge $names
check "... takes the user" no_user
state >$work/after
check "... leaves nothing behind" diff $work/before $work/after
echo "1..$points"
