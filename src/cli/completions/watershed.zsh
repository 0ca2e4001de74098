#compdef watershed
# Completions of watershed for zsh, to source before or after compinit, or as the file `_watershed` in a directory of
# fpath. The program says what there is: the names in the files.

_watershed() {
    local -a answers open others
    local answer value
    answers=("${(@f)$(_CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((CURRENT - 1)) WATERSHED_COMPLETE=zsh \
        watershed -- "${words[@]}" 2>/dev/null)}")
    for answer in $answers; do
        value=${answer//\\:/}
        value=${value%%:*}
        # A directory and a `v1=` go on, so no space follows them.
        if [[ $value == *[/=] ]]; then
            open+=("$answer")
        else
            others+=("$answer")
        fi
    done
    (( $#open )) && _describe -V 'values' open -S ''
    (( $#others )) && _describe -V 'values' others
}

if [[ ${funcstack[1]} == _watershed ]]; then
    _watershed "$@"
else
    # At the first prompt all startup files were read, so compinit has run, if it ever does.
    _watershed_at_the_first_prompt() {
        add-zsh-hook -d precmd _watershed_at_the_first_prompt
        (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
        compdef _watershed watershed
    }
    autoload -Uz add-zsh-hook && add-zsh-hook precmd _watershed_at_the_first_prompt
    # A startup file that ends with this line has not failed.
    if (( $+functions[compdef] )); then compdef _watershed watershed; fi
fi
