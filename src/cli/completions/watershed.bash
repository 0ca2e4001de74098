# Completions of watershed for bash. The program says what there is: the names in the files.

_watershed() {
    # Bash breaks words at = and :, and the program needs `v1=90` and `http://…` whole.
    local line=${COMP_LINE:0:COMP_POINT} words=() rest i
    for ((i = 0; i < COMP_CWORD; i++)); do
        rest=${line#"${line%%[![:blank:]]*}"}
        if ((i == 0)) || [[ $rest != "$line" ]]; then
            words+=("${COMP_WORDS[i]}")
        else
            words[${#words[@]}-1]+=${COMP_WORDS[i]}
        fi
        line=${rest#"${COMP_WORDS[i]}"}
    done
    rest=${line#"${line%%[![:blank:]]*}"}
    if [[ $rest != "$line" ]]; then
        words+=("$rest")
    else
        words[${#words[@]}-1]+=$rest
    fi
    local current=${words[${#words[@]}-1]}

    local IFS=$'\013'
    COMPREPLY=($(_CLAP_IFS=$IFS _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) WATERSHED_COMPLETE=bash \
        watershed -- "${words[@]}" 2>/dev/null)) || COMPREPLY=()

    # It replaces only what is after the last break.
    if [[ $current == *[=:]* && $COMP_WORDBREAKS == *[=:]* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*[=:]}"}"}")
    fi
    if [[ ${COMPREPLY-} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

complete -o bashdefault -o nosort -F _watershed watershed
