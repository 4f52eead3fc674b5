" Vim filetype plugin
" Language: cnn, the models of cnnc.  `gq` formats: the whole file with gggqG.  `:compiler cnnc` and `:make` check it.

if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1

setlocal comments=:#
setlocal commentstring=#\ %s
setlocal formatoptions-=t formatoptions+=croql
setlocal expandtab shiftwidth=4 softtabstop=4
setlocal include=^\\s*include\\s
setlocal suffixesadd=.cnn
if executable("cnnc")
  setlocal formatprg=cnnc\ --format\ -
endif

let b:undo_ftplugin = "setlocal comments< commentstring< formatoptions< expandtab< shiftwidth< softtabstop< include<"
      \ . " suffixesadd< formatprg<"
