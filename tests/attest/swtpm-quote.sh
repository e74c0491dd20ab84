#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# swtpm-quote.sh [BAWN-VERIFY]: quotes of a software TPM, made by tpm2-tools, are judged rightly:
# RSASSA, RSAPSS and ECDSA keys over SHA-256 and SHA-384 banks, by the key, by a certificate;
# and wrong nonces, PCRs, keys, signatures and messages are not trusted.
set -u
verify=${1:-${BAWN_BUILD:-build}/bin/bawn-verify}
for tool in swtpm tpm2_quote tpm2_createak openssl xxd; do
	command -v "$tool" >/dev/null || { echo "1..0 # SKIP no $tool"; exit 0; }
done
[ -x "$verify" ] || { echo "1..0 # SKIP no $verify"; exit 0; }

work=$(mktemp -d)
tpm=
trap '[ -n "$tpm" ] && kill "$tpm" 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/state"
swtpm socket --tpm2 --tpmstate dir="$work/state" --server type=unixio,path="$work/tpm" \
	--ctrl type=unixio,path="$work/tpm.ctrl" --flags not-need-init,startup-clear \
	>"$work/swtpm.log" 2>&1 &
tpm=$!
export TPM2TOOLS_TCTI="swtpm:path=$work/tpm"
for _ in $(seq 50); do [ -S "$work/tpm.ctrl" ] && break; sleep 0.1; done
cd "$work" || exit 1
case $verify in /*) ;; *) verify=$OLDPWD/$verify ;; esac

points=0
ok() { # whether, text
	points=$((points + 1))
	if [ "$1" = yes ]; then echo "ok $points - $2"; else echo "not ok $points - $2"; fi
}
show() { sed 's/^/# /' "$1"; }

# Runs a tool; the test cannot go on without. The TPM has room for three loaded keys, and no
# resource manager that makes room.
run() {
	if ! "$@" >tool.log 2>&1; then
		echo "Bail out! $*"
		show tool.log
		exit 1
	fi
	case $1 in tpm2_*) tpm2_flushcontext -t >tool.log 2>&1 ;; esac
}

# The verdict's exit status, and words that what it says must hold.
judged() { # text, status, words, arguments of bawn-verify
	local text=$1 want=$2 words=$3 status
	shift 3
	"$verify" "$@" >out 2>&1
	status=$?
	if [ "$status" = "$want" ] && grep -qF -- "$words" out; then ok yes "$text"; else
		ok no "$text"
		echo "# exit status $status, not $want, or no \"$words\""
		show out
	fi
}

# A copy of a file with the byte at the offset inverted.
flip() { # file, offset, copy
	cp "$1" "$3"
	printf '%02x' $((0x$(xxd -p -s "$2" -l 1 "$1") ^ 255)) | xxd -r -p |
		dd of="$3" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

key() { # name, kind, scheme, hash
	run tpm2_createak -Q -C ek.ctx -c "$1.ctx" -G "$2" -s "$3" -g "$4" -u "$1.pub"
	run tpm2_readpublic -Q -c "$1.ctx" -f pem -o "$1.pem"
}

quote() { # name, key, selection, hash, further arguments
	local name=$1 key=$2 select=$3 hash=$4
	shift 4
	run tpm2_quote -Q -c "$key.ctx" -l "$select" -g "$hash" -q "$nonce" -m "$name.msg" \
		-s "$name.sig" -o "$name.pcr" "$@"
}

# What bawn-verify is given of a quote.
parts() { echo "--endorsements $1.sig --endorsements $1.pcr"; }

echo "1..49"
nonce=$(head -c 20 /dev/urandom | xxd -p)
one=$(printf 1 | sha256sum | cut -d' ' -f1)
two=$(printf 2 | sha384sum | cut -d' ' -f1)
run tpm2_createek -Q -c ek.ctx -G rsa -u ek.pub
run tpm2_pcrextend "16:sha256=$one,sha384=$two"
run tpm2_pcrextend "0:sha256=$one" "7:sha384=$two"

# ---- Schemes, hashes and banks
for kind in "rsa rsassa sha256" "rsa rsapss sha256" "ecc ecdsa sha256" "rsa rsassa sha384" \
	"ecc384 ecdsa sha384"; do
	# shellcheck disable=SC2086 # words
	set -- $kind
	ak=$1-$2-$3
	key "$ak" "$1" "$2" "$3"
	for bank in sha256 sha384; do
		what="$ak over $bank"
		quote q "$ak" "$bank:0,1,7,16,23" "$3" --scheme "$2"
		# shellcheck disable=SC2046 # words
		judged "$what" 0 "TRUSTED under another root" $(parts q) --root "$ak.pem" \
			--expect "tpm.nonce=$nonce" --expect "tpm.pcr_bank=$bank" \
			--expect tpm.pcr_selection="$bank:0,1,7,16,23" q.msg
		flip q.sig 60 bad.sig
		judged "$what: altered signature" 1 tpm.signature --endorsements bad.sig \
			--endorsements q.pcr --root "$ak.pem" q.msg
		flip q.msg 50 bad.msg
		# shellcheck disable=SC2046
		judged "$what: altered message" 1 tpm.signature $(parts q) --root "$ak.pem" bad.msg
	done
done

# ---- One key, and what can be wrong
ak=rsa-rsassa-sha256
other=ecc-ecdsa-sha256
quote q "$ak" sha256:0,16 sha256
# shellcheck disable=SC2207
q=($(parts q))
judged "with the key as a TPM gives it" 0 "tpm.ak-attributes" "${q[@]}" --endorsements "$ak.pub" \
	--root "$ak.pem" --explain q.msg
judged "the value of a PCR" 0 TRUSTED "${q[@]}" --root "$ak.pem" --expect \
	"tpm.pcr[16]=$(tpm2_pcrread sha256:16 | sed -n 's/.*0x//p')" q.msg
judged "another value of a PCR is expected" 1 "tpm.pcr[16]" "${q[@]}" --root "$ak.pem" \
	--expect "tpm.pcr[16]=$one" q.msg
judged "wrong nonce" 1 tpm.nonce "${q[@]}" --root "$ak.pem" --expect tpm.nonce=0011 q.msg
judged "foreign key" 1 tpm.signature "${q[@]}" --root "$other.pem" q.msg
judged "foreign key given for the quote's" 1 tpm.signature "${q[@]}" --root "$other.pem" \
	--endorsements "$other.pub" q.msg
judged "a key that nobody vouches for" 2 "nothing vouches" "${q[@]}" --endorsements "$ak.pub" q.msg
judged "no signature" 2 "no signature" --endorsements q.pcr --root "$ak.pem" q.msg
judged "no PCR values" 0 "known only by their digest" --endorsements q.sig --root "$ak.pem" q.msg
judged "no PCR values, strictly" 1 "known only by their digest" --endorsements q.sig \
	--root "$ak.pem" --strict q.msg
run tpm2_pcrextend "16:sha256=$one"
quote later "$ak" sha256:0,16 sha256
judged "PCR values of another time" 1 tpm.pcr-digest --endorsements q.sig \
	--endorsements later.pcr --root "$ak.pem" q.msg
quote q "$ak" sha256:0,16 sha256 -F values
judged "PCR values without a header" 0 TRUSTED "${q[@]}" --root "$ak.pem" --expect \
	"tpm.pcr[16]=$(tpm2_pcrread sha256:16 | sed -n 's/.*0x//p')" q.msg
quote q "$ak" sha256:0,16+sha384:7,16 sha256
judged "two banks" 0 TRUSTED "${q[@]}" --root "$ak.pem" --expect \
	"tpm.sha384.pcr[7]=$(tpm2_pcrread sha384:7 | sed -n 's/.*0x//p')" q.msg
quote q "$ak" sha1:0,16 sha256
judged "SHA-1 bank" 1 tpm.pcr-bank "${q[@]}" --root "$ak.pem" q.msg

# ---- Keys and messages that prove nothing
run tpm2_createprimary -Q -C e -c parent.ctx
run tpm2_create -Q -C parent.ctx -G rsa2048:rsassa-sha256 -c loose.ctx -u loose.pub -r loose.priv
run tpm2_readpublic -Q -c loose.ctx -f pem -o loose.pem
quote q loose sha256:0 sha256
judged "a key that signs anything" 1 tpm.ak-attributes "${q[@]}" --root loose.pem \
	--endorsements loose.pub q.msg
run tpm2_certify -Q -c loose.ctx -C "$ak.ctx" -g sha256 -o cert.msg -s cert.sig
judged "a certification is no quote" 1 "object certification" --endorsements cert.sig \
	--root "$ak.pem" cert.msg

# ---- A certificate for the key
quote q "$ak" sha256:0,16 sha256
run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
	-subj "/CN=Test AK CA" -days 2 -addext "keyUsage=critical,keyCertSign,cRLSign"
printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=2.23.133.8.3\n' >ext
printf 'authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\nbasicConstraints=CA:FALSE\n' >>ext
run openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout any.key -out any.csr \
	-subj "/CN=AK"
run openssl x509 -req -in any.csr -force_pubkey "$ak.pem" -CA ca.pem -CAkey ca.key -days 1 \
	-extfile ext -out ak.crt
judged "a certified key" 0 "Test AK CA" "${q[@]}" --endorsements ak.crt --root ca.pem \
	--expect tpm.ak_binding=certificate q.msg
judged "a certified key, too late" 1 tpm.ak-validity "${q[@]}" --endorsements ak.crt --root ca.pem \
	--at 2060-01-01 q.msg
quote other "$other" sha256:0,16 sha256
judged "a certificate of another key" 1 tpm.signature --endorsements other.sig \
	--endorsements other.pcr --endorsements ak.crt --root ca.pem other.msg
[ "$points" = 49 ]
