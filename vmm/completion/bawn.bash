# SPDX-License-Identifier: Apache-2.0
# Completion of bawn for bash. Commands, options and the values among which an option chooses are
# what the program's own --help lists, and machines what bawn ps does.

# The help of a command; check and restore have run's options too.
_bawn_help()
{
	"$1" "$2" --help 2>/dev/null
	[[ $2 != check && $2 != restore ]] || "$1" run --help 2>/dev/null
}

# What an option's value can be: words with | between; one with = or capitals is no word to choose.
_bawn_values()
{
	sed -n "s/^  $1 \([^ ]*\).*/\1/p" | tr '|' '\n' | sed '/[A-Z[]/d; /=.*=/d; /\.\./d'
}

_bawn()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=

	COMPREPLY=()
	# --rng=o comes as three words.
	if [[ $cur == "=" ]]; then
		cur=
	elif [[ $prev == "=" ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if ((COMP_CWORD == 1)); then
		words=$("$1" --help 2>/dev/null | sed -n 's/^  \([a-z-]*\) .*/\1/p')
	elif [[ $cur == -* ]]; then
		words=$(_bawn_help "$1" "${COMP_WORDS[1]}" | grep -o -e '--[a-z][a-z-]*' | sort -u)
	elif [[ $prev == -* ]]; then
		words=$(_bawn_help "$1" "${COMP_WORDS[1]}" | _bawn_values "$prev")
	elif ((COMP_CWORD == 2)) && [[ ${COMP_WORDS[1]} != @(run|check|restore) ]]; then
		words=$("$1" ps 2>/dev/null | sed '1d; s/ .*//')
	fi
	if [[ -n $words ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	else
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -F _bawn bawn
