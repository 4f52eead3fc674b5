" The models of cnnc
autocmd BufNewFile,BufRead *.cnn setfiletype cnn
