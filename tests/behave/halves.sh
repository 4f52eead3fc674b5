#!/usr/bin/env bash
# Minimal filtering panel by panel where there are few panels for the threads: by halves of them (conv2d_winograd_panels.c), which
# only vectors of sixteen numbers have.  The same training as by plain sums, the same bits on one thread, three and sixteen, for
# which halves are cut once more; and plans that hold where the last panel is half empty.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"
. "$TOP/tests/run/two_ways.sh"
target=x86-64-v4
verifying=$BUILD/tests/behave/cnnc_verifying

write_model() { # name first second
    cat >"$1.cnn" <<CNN
model $1
data { shapes classes=10, train=58, val=5, seed=3; scale 1/255 }
network {
    input 3x32x32
    conv2d $2, 5x5, elu, stride=8, padding=2
    conv2d $3, 3x3, elu, padding=same
    flatten
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer sgd, lr=0.05; metrics accuracy; epochs 2; batch 32; seed 5 }
CNN
}

# ---- plans
for pair in 256:224 512:288 512:352 224:512 288:512; do
    write_model planned "${pair%:*}" "${pair#*:}"
    for real in float bf16; do
        expect 0 "$verifying" --target=$target --real=$real --kernel=conv2d_2:data=winograd6 --kernel=conv2d_2:forward=winograd6 planned.cnn -o planned.c
    done
done

# ---- the forward pass to 256 channels and the data gradient of as many
write_model forward 512 256
write_model backward 256 512
expect 0 "$CNNC" --target=$target --kernel=conv2d_2=winograd6 --dump=plan forward.cnn
grep -q 'conv2d_2 (forward) x 8 of 32; or conv2d_2 (forward) x 16' out || fail "256 channels are no eight halves of panels: $(grep 'conv2d_2 (forward)' out)"
expect 0 "$CNNC" --target=$target --kernel=conv2d_2=winograd6 --dump=plan backward.cnn
grep -q 'conv2d_2_data_grad (data gradient) x 8 of 32; or' out || fail "nor backwards: $(grep 'conv2d_2_data_grad (data' out)"
for name in forward backward; do
    mkdir "way.$name" && cp $name.cnn "way.$name" && cd "way.$name" || exit 1
    two_ways $name 4 --kernel=conv2d_2=winograd6 --kernel=conv2d_2=direct 's/begin = chunk \* [0-9]*;/begin = 0;/' "all channels but the first"
    [ ! -x ./$name ] || rm -f $name.c
    if [ -x ./$name ] && build $name CNNC_TARGET=$target CNNC_FLAGS=--kernel=conv2d_2=winograd6 "CNNC_CFLAGS=-O1 ${CNNC_CFLAGS:-}"; then
        for threads in 1 16; do
            expect 0 ./$name --threads $threads --run-dir $name.$threads.again
        done
        cmp $name.1.again/last.safetensors $name.16.again/last.safetensors || fail "the weights differ between 1 and 16 threads"
    fi
    cd ..
done
finish
