# SPDX-License-Identifier: Apache-2.0
# Completion of bawn for bash. Commands, options and the values among which an option chooses are
# what the program's own --help lists.

# The lines of a command's help that are options, or those of bawn's that are commands.
_bawn_help()
{
	"$@" --help 2>/dev/null | sed -n 's/^  \([a-z-]*[a-z].*\)/\1/p'
}

# What a value can be: words with | between, of which one with = or capitals is no word to choose.
_bawn_values()
{
	sed -n "s/^$1  *\([^ ]*\) .*/\1/p" | tr '|' '\n' | sed '/[A-Z[]/d; /=.*=/d; /\.\./d'
}

_bawn()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} help values

	COMPREPLY=()
	# --rng=o comes as three words.
	if [[ $cur == "=" ]]; then
		cur=
	elif [[ $prev == "=" ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$(_bawn_help "$1" | sed 's/ .*//')" -- "$cur")
		return
	fi
	help=$(_bawn_help "$1" "${COMP_WORDS[1]}")
	# check has run's options too.
	[[ ${COMP_WORDS[1]} != check ]] || help+=$'\n'$(_bawn_help "$1" run)
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(sort -u <<<"$help" | sed 's/ .*//')" -- "$cur")
		return
	fi
	values=$(_bawn_values "$prev" <<<"$help")
	if [[ -n $values ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur")
	else
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -F _bawn bawn
