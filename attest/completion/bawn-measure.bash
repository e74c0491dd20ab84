# SPDX-License-Identifier: Apache-2.0
# Completion of bawn-measure for bash. Commands and options are what the program's own --help
# lists.

# The commands, each on a line of its own in the help.
_bawn_measure_commands()
{
	"$1" --help 2>/dev/null | sed -n '/^  bawn-measure/d; s/^  \([a-z][a-z-]*\) .*/\1/p'
}

# The CPU models that a command's help lists.
_bawn_measure_models()
{
	"$1" "$2" --help 2>/dev/null | sed -n '/^CPU models:/,/^$/ s/^  //p'
}

_bawn_measure()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=()

	COMPREPLY=()
	# --vmm-type=Q comes as three words.
	if [[ $cur == "=" ]]; then
		cur=
	elif [[ $prev == "=" ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	[[ ${COMP_WORDS[1]-} == -* ]] || command=("${COMP_WORDS[1]-}")
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W \
			"$(_bawn_measure_commands "$1") --help --version" -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$("$1" "${command[@]}" --help 2>/dev/null | sed -n 's/^ *\(--[a-z0-9-]*\).*/\1/p')" \
			-- "$cur")
	elif [[ $prev == --serial ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'off null tty file=' -- "$cur")
	elif [[ $prev == --hotplug ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'auto off on' -- "$cur")
	elif [[ $prev == --vmm-type ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'QEMU ec2 KRUN gce' -- "$cur")
	elif [[ $prev == --output-format ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'hex base64' -- "$cur")
	elif [[ $prev == --vcpu-type ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_bawn_measure_models "$1" "${command[@]}")" \
			-- "$cur")
	else
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -F _bawn_measure bawn-measure
