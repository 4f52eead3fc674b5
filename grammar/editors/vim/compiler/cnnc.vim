" Vim compiler file
" Compiler: cnnc, which checks the file that is open

if exists("current_compiler")
  finish
endif
let current_compiler = "cnnc"

CompilerSet makeprg=cnnc\ --check\ %:S
CompilerSet errorformat=%f:%l:%c:\ %trror:\ %m,%f:%l:%c:\ %tarning:\ %m,%f:%l:%c:\ %tote:\ %m,%-G%.%#
