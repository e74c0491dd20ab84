# SPDX-License-Identifier: Apache-2.0
# Completion of bawn-fuzz for bash. Commands, options and targets are what the program itself
# lists.

_bawn_fuzz()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word command="" i
	local commands='list run status triage coverage report cmin import lab'

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ " $commands " == *" ${COMP_WORDS[i]} "* ]]; then
			command=${COMP_WORDS[i]}
			break
		fi
	done
	case $prev in
	--tree | --build | --dir | --out)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--budget | --time | --execs | --jobs | --seed | --interval | --minimise)
		return
		;;
	esac
	# What an option takes several of goes on to the next option.
	for ((i = COMP_CWORD - 1; i > 0; i--)); do
		word=${COMP_WORDS[i]}
		[[ $word == -* ]] && break
	done
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$("$1" ${command:+"$command"} --help 2>/dev/null | grep -o -e '--[a-z-]*' | sort -u)" \
			-- "$cur")
	elif [[ -z $command ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
	elif [[ $word == --targets || $prev == import ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$("$1" list 2>/dev/null | sed -n 's/^\([a-z][a-z0-9-]*\) .*/\1/p')" -- "$cur")
	elif [[ $command == import || $word == --inputs ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -F _bawn_fuzz bawn-fuzz
