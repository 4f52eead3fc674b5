#!/usr/bin/env bash
# Blocks and repeats are what they are expanded to.  Random networks are written twice (block_pairs.c), with blocks and
# flat: CNN_NETWORKS / 8 of them give the same graphs and the same groups of parameters.  And a residual network of blocks
# trains as its flat form does, bit for bit; names with dots serve in files of weights, in --kernel, in gradcheck, in
# bench and in the network by itself.
. "$(dirname "$0")/../run/common.sh"
: "${CNN_NETWORKS:=200}"

# ---- the same graphs
$CC -std=gnu11 -O1 -Wall -Wextra -Wshadow ${CNNC_CFLAGS:-} "$TOP/tests/behave/block_pairs.c" -o block_pairs >cc.log 2>&1 ||
    { sed 's/^/    /' cc.log; fail "cannot build block_pairs"; finish; }
# pair SEED: graphs and summaries of both forms, in blocks.* and flat.*
pair() {
    ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" ./block_pairs "$1" . || { fail "block_pairs $1"; return 1; }
    for form in blocks flat; do
        "$CNNC" --dump=graph $form.cnn >$form.graph 2>err && "$CNNC" --summary $form.cnn 2>err >$form.summary ||
            { fail "seed $1, $form: $(grep -m 1 error err)"; return 1; }
    done
}
count=$((CNN_NETWORKS / 8 + 2)) layers=0 dotted=0
for ((seed = 1; seed <= count; seed++)); do
    pair $seed || continue
    cmp blocks.graph flat.graph || fail "seed $seed: another graph"
    cmp blocks.summary flat.summary || fail "seed $seed: another summary"
    layers=$((layers + $(grep -c ' as ' flat.cnn)))
    dotted=$((dotted + $(grep -c ' as .*\.' flat.cnn)))
done
echo "$count pairs, $layers layers, $dotted of them with a name of blocks or rounds"
[ $dotted -gt $((10 * count)) ] || fail "the pairs have too few layers in blocks"
# the proof that it can fail
sed '0,/3x3, padding=same/s//5x5, padding=same/' flat.cnn >other.cnn
expect 0 "$CNNC" --dump=graph other.cnn
cmp -s out flat.graph && fail "a graph with another kernel is the same"

# ---- trained as if it were written out
cat >net.cnn <<'CNN'
model net
data { shapes classes=10, train=120, val=40; scale 1/255 }
block residual(filters, stride=1, act=relu) {
    add {
        branch {
            conv2d filters, 3x3, stride=stride, padding=1, bias=off as conv1
            batchnorm act as bn1
            conv2d filters, 3x3, padding=1, bias=off as conv2
            batchnorm as bn2
        }
        branch {
            if stride != 1 or in_channels != filters {
                conv2d filters, 1x1, stride=stride, bias=off
                batchnorm
            }
        }
    }
    act
}
network {
    input 3x32x32
    conv2d 4, 3x3, stride=4, padding=1 as layer1_0_conv1     # in C it would be called as one of the block's layers
    repeat 2 { residual 4 as layer1 }
    repeat 2 as i { residual 8, stride=if i == 0 then 2 else 1, act=elu(0.5) as layer2 }
    global_avgpool2d
    dense 10, softmax as fc
}
train {
    loss categorical_crossentropy; optimizer sgd, momentum=0.9; metrics accuracy; epochs 1; batch 20; seed 3
    freeze layer1.0
    params layer2, lr_scale=0.5
}
CNN
expect 0 "$CNNC" --explain net.cnn && sed 's/^model net/model flat/' out >flat.cnn
strict="${CNNC_CFLAGS:-} -O1 -Wall -Wextra -Werror"
build net flat CNNC_CFLAGS="$strict" || finish
for trainer in net flat; do
    expect 0 ./$trainer --verbose 0 --log-steps $trainer.steps --history $trainer.csv
done
cmp net.steps flat.steps || fail "blocks train in other steps than what they are expanded to"
cmp <(tensors net.run/last.safetensors) <(tensors flat.run/last.safetensors) || fail "other weights"
for name in layer1.0.conv1.weight layer1.1.bn2.running_var layer2.0.conv2d_8.weight fc.bias layer1_0_conv1.weight; do
    head -c 20000 net.run/last.safetensors | grep -aq "\"$name\"" || fail "the weights have no '$name'"
done
expect 0 ./net --verbose 0 --overwrite --weights flat.run/last.safetensors --limit-steps 1
expect 0 ./net bench --steps 2 && { grep -q '^layer2\.1\.bn2 ' out || fail "bench does not name layer2.1.bn2"; }
expect 0 ./net summary && { grep -q '^layer2\.1\.bn2 ' out || fail "summary does not name layer2.1.bn2"; }
# frozen weights are those at the beginning, the others are not
expect 0 ./net --verbose 0 --overwrite --limit-steps 1 && cp net.run/last.safetensors one.safetensors
expect 0 ./net --verbose 0 --overwrite --limit-steps 3
cmp -s <(tensors one.safetensors) <(tensors net.run/last.safetensors) && fail "nothing is trained"

expect 0 "$CNNC" --real=double net.cnn -o net_double.c &&
    build net_double CNNC_CFLAGS="${CNNC_CFLAGS:-} -O1" && expect 0 ./net_double gradcheck

# ---- a kernel for a layer of a block
expect 0 "$CNNC" --kernel layer2.1.conv1:weight=direct net.cnn -o one.c
tr -d '\n' <one.c | grep -q 'layer2\.1\.conv1 (line 6): weight gradient[^;]*;[^;]*; kernel direct[ *]*(asked for)' ||
    fail "--kernel is not heard"
expect 1 "$CNNC" --kernel layer2.2.conv1=direct net.cnn -o one.c
grep -q 'layer2\.2\.conv1' err || fail "--kernel of a layer that is not there: $(head -n 1 err)"

# ---- the network by itself
expect 0 "$CNNC" --emit=inference --weights net.run/last.safetensors net.cnn -o small.c
printf '#include "small.h"\nint main(void) { return net_selftest(); }\n' >alone.c
# shellcheck disable=SC2086
expect 0 $CC -std=c99 -pedantic -Wall -Wextra -Werror ${CNNC_CFLAGS:-} -DNET_SELFTEST small.c alone.c -o small -lm && expect 0 ./small
grep -q 'layer1\.1\.conv1 (line 6)' small.c || fail "the network by itself does not say where layer1.1.conv1 comes from"
finish
