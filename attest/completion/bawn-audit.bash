# SPDX-License-Identifier: Apache-2.0
# Completion of bawn-audit for bash. The options are what the program's own --help lists.

_bawn_audit()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	if [[ $cur == "=" ]]; then
		cur=
	elif [[ $prev == "=" ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $prev in
	--allowed)
		mapfile -t COMPREPLY < <(compgen -W 'yes no' -- "$cur")
		return
		;;
	--kind)
		mapfile -t COMPREPLY < <(compgen -W 'attest release admin revoke service' -- "$cur")
		return
		;;
	--pin | --from | --until | --tenant | --verdict | --lines | --revision)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$("$1" --help 2>/dev/null | sed -n 's/^ *\(--[a-z-]*\).*/\1/p')" -- "$cur")
	elif ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W \
			'verify show list tail prove check-proof export key host report check-report' -- "$cur")
	else
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -F _bawn_audit bawn-audit
