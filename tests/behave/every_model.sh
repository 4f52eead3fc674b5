#!/usr/bin/env bash
# Every network of models/ is trained by its own recipe for a few epochs, on made-up pictures in place of its data, in small
# batches and with a tenth of a rate of 0.1, which is meant for large ones: losses are numbers, and those of an epoch come below
# the first one's.  It takes minutes with CNN_MODELS=all, as make bigcheck has it; CNN_MODELS="resnet8 nin" takes these, and
# without it one small one stands for them.
. "$(dirname "$0")/../run/common.sh"

models=${CNN_MODELS:-mnist_lenet5}
[ "$models" != all ] || models=$(cd "$TOP/models" && echo *.cnn)

# npy FILE COUNT SHAPE: bytes from standard input as a file of numpy's
npy() {
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': ($2,$3), }" >"$1"
    cat >>"$1"
}

# made_up COUNT CxHxW CLASSES: pictures of one brightness, which is their class's
made_up() {
    local count=$1 classes=$3 size
    size=$((${2//x/*}))
    [ "$classes" -le 8 ] || classes=8
    for ((i = 0; i < count; i++)); do
        head -c $size /dev/zero | tr '\0' "$(printf '\\%03o' $((30 * (i % classes) + 20)))"
    done | npy x.npy "$count" " ${2//x/, }"
    for ((i = 0; i < count; i++)); do
        printf "$(printf '\\%03o' $((i % classes)))"
    done | npy y.npy "$count" ""
}

# of_data: the file on standard input with other data in place of its own; a network's own input as its target stays
of_data() {
    awk -v target="$1" '
        /^data \{/ { print "data {\n    npy x=\"x.npy\", y=\"y.npy\", val_x=\"x.npy\", val_y=\"y.npy\""; within = 1 }
        /^data \{/ { print "    scale 1/255" target "\n}" }
        !within { print }
        /^\}/ { within = 0 }'
}

for model in $models; do
    model=${model%.cnn}
    mkdir -p "$model"
    cd "$model" || exit 99
    cp -r "$TOP/models/blocks" .
    "$CNNC" --summary --json "$TOP/models/$model.cnn" >summary || fail "$model: no summary"
    shape=$(sed -n 's/^ *input \([0-9x]*\).*/\1/p' "$TOP/models/$model.cnn" | head -1)
    case $shape in *224) count=8 batch=4 ;; *) count=32 batch=8 ;; esac
    target=$(grep -q '^ *target input' "$TOP/models/$model.cnn" && printf '\\n    target input')
    made_up $count "$shape" 8
    sed "s/^\( *batch\) .*/\1 $batch/; s/^\( *epochs\) .*/\1 4/; s/lr=0\.1,/lr=0.01,/" "$TOP/models/$model.cnn" |
        of_data "$target" >"$model.cnn"
    if build "$model" "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}" && expect 0 "./$model" train --data . --seed 1 --history "$model.csv"; then
        awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "loss") at = i; next }
            { n++; if ($at !~ /^[-0-9.e+]+$/) bad = 1; if (n == 1) first = $at; else if (n == 2 || $at + 0 < least) least = $at + 0 }
            END { printf "loss %s, then %s at least\n", first, least; exit bad || n < 4 || least >= first + 0 }' "$model.csv" >said ||
            { fail "$model: $(cat said)"; cat "$model.csv"; }
        echo "$model: $(cat said)"
    fi
    cd .. && rm -rf "$model"
done
finish
