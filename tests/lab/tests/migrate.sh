#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# migrate.sh DEVICE: a Debian guest under load moves from one `bawn run` to a second and a third, over
# TLS and loopback; before that it stays where it is whenever something is wrong.
# needs: /usr/bin/openssl

. /lab/tests/common.sh
PATH=$PATH:/usr/bin
cd "$work" || exit 1
patience=200

appears() { until_true "$3" seen "$1" "$2"; } # pattern, file, seconds
certificate() { # its name, its CA's
	openssl req -config req.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" \
		-out "$1.csr" 2>/dev/null
	openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 2 -extfile ext \
		-out "$1.pem" 2>/dev/null
}
certificates() {
	printf '[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n[ca]\nbasicConstraints=critical,CA:true\n' >req.cnf
	echo 'subjectAltName=IP:127.0.0.1' >ext
	for ca in ca other; do
		openssl req -config req.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$ca" \
			-keyout $ca.key -out $ca.pem 2>/dev/null
	done
	certificate host ca
	certificate stranger other
}
receive() { # number, options of bawn receive
	n=$1
	shift
	bawn receive "tls:127.0.0.1:700$n" --migration-cert host.pem --migration-key host.key --migration-ca ca.pem \
		--device "$device" --api-socket "path=$work/api$n" "$@" </dev/null >"out$n" 2>"err$n" &
	vmm=$!
	eval "vmm$n=$vmm"
	until_true 10 grep -q "$(printf ':%04X ' "700$n")" /proc/net/tcp
}
migrate() { # from, to, options of bawn migrate
	from=$1 to=$2
	shift 2
	bawn migrate --api-socket "$work/api$from" "tls:127.0.0.1:700$to" --cert host.pem --key host.key --ca ca.pem \
		--downtime 20000 --timeout 150 "$@" >said 2>&1
}
moves() { migrate "$@" || { sed 's/^/# /' said; false; }; }
stays() { # words of the message, and as migrate
	words=$1
	shift
	! migrate "$@" && { grep -q "$words" said || { sed 's/^/# /' said; false; }; }
}
count() { sed -n 's/^guest: count \([0-9]*\).*/\1/p' "out$1" | tail -n 1; }
goes_on() { # where
	before=$(count "$1")
	appears "^guest: count $((before + 2))" "out$1" 60
}
arrives() { # from, to: it counts on where it stopped
	appears '^guest: count' "out$2" 60
	last=$(count "$1") first=$(sed -n 's/^guest: count \([0-9]*\).*/\1/p' "out$2" | head -n 1)
	echo "# it counted to $last, and goes on with $first"
	[ "$first" -gt "$last" ] && [ "$first" -le $((last + 2)) ] # a line may have been cut in two
}
ends() { # whose, the exit code that is right
	eval "vmm=\$vmm$1"
	ended "$2" || { sed 's/^/# /' "err$1"; false; }
}
is_known() { bawn info --api-socket "$work/api2" 2>/dev/null | grep -q vmlinuz; }
killed_half_way() {
	migrate 1 2 --bandwidth 4 &
	until_true 20 is_known || return 1
	sleep 2
	kill -KILL "$vmm2"
	! wait $! && grep -Eq 'hung up|cut|reset|eof' said || { sed 's/^/# /' said; false; }
}

echo 1..18
ifconfig lo 127.0.0.1 up
certificates
dd if=/dev/zero of=a bs=512 count=2000 2>/dev/null
dd if=/dev/urandom of=b bs=64k count=16 2>/dev/null
bawn run --device "$device" --kernel /lab/guest/vmlinuz --initrd /lab/guest/initrd --memory 128M --serial tty \
	--disk path=a --disk path=b,readonly=on --api-socket "path=$work/api1" \
	--cmdline "console=ttyS0 panic=-1 bawn.test=moved bawn.end=poweroff bawn.seconds=${MOVED_SECONDS:-120}" \
	</dev/null >out1 2>err1 &
vmm1=$!
check "the guest counts" appears '^guest: count 2' out1 $patience
check "there is nobody: it stays" stays 'cannot connect' 1 9
receive 2
check "a stranger is not heard: it stays" stays 'alert' 1 2 --cert stranger.pem --key stranger.key
check "and is told of" appears 'somebody was turned away: .*certificate' err2 10
check "nor is a destination whose CA is another's: it stays" stays 'certificate' 1 2 --ca other.pem
check "killed half way: it stays" killed_half_way
check "and goes on" goes_on 1
receive 2 --expect-measurement "$(printf '%096d' 0)"
check "another measurement: it stays" stays 'expected to be 0000' 1 2
check "and the destination ends" ends 2 1
receive 2
check "it moves" moves 1 2
check "and the source ends" ends 1 0
check "it goes on where it stopped" arrives 1 2
receive 3
check "it moves again" moves 2 3
check "and the second ends" ends 2 0
check "it goes on where it stopped" arrives 2 3
check "it says that it has arrived" grep -q 'the machine has arrived' err3
check "its memory and disks are what they should be" appears '^guest: moved ok' out3 200
check "and it ends" ends 3 0
for n in 1 2 3; do
	sed "s/^/# bawn $n: /" "err$n"
	tr -d '\r' <"out$n" | grep '^guest:' | grep -v count | sed 's/^/# /'
done
kill "$vmm1" "$vmm2" "$vmm3" 2>/dev/null
exit 0
