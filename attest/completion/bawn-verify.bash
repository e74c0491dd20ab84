# SPDX-License-Identifier: Apache-2.0
# Completion of bawn-verify for bash. The options are what the program's own --help lists.

_bawn_verify()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	# --type=s comes as three words.
	if [[ $cur == "=" ]]; then
		cur=
	elif [[ $prev == "=" ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $prev in
	--type)
		mapfile -t COMPREPLY < <(compgen -W 'auto snp tdx sgx hcl tpm log json' -- "$cur")
		return
		;;
	--at | --expect)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$("$1" --help 2>/dev/null | sed -n 's/^ *\(--[a-z-]*\).*/\1/p')" -- "$cur")
	else
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		[[ $COMP_CWORD == 1 && ratls == "$cur"* ]] && COMPREPLY+=(ratls)
	fi
}
complete -F _bawn_verify bawn-verify
