# Completions of watershed for fish. The program says what there is: the names in the files.
complete --keep-order --exclusive --command watershed --arguments "(WATERSHED_COMPLETE=fish watershed -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token) 2>/dev/null)"
