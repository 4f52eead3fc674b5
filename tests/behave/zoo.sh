#!/usr/bin/env bash
# The models stand against figures that others published: parameters without running statistics, and multiply-adds of one
# sample forward in convolutions and dense layers. Where nobody published a figure for such a network, tests/pytorch/test_zoo.py
# counts those of the same network built there, and what it counted stands here.
. "$(dirname "$0")/../run/common.sh"

# model, trainable parameters, multiply-adds; more options
figures() {
    cat <<'ZOO'
# LeCun et al., Proc. IEEE 1998, with every map of the second convolution seeing all six of the first
mnist_lenet5 61706 416520
# MLPerf Tiny: 78,666 with running statistics, 12.5 million multiply-adds
resnet8 78186 12501632
# Wei Yang, pytorch-classification: 2.47 million
alexnet 2472266 14957056
# kuangliu, pytorch-cifar: VGG('VGG11'), VGG('VGG16')
vgg11 9231114 152769536
vgg16 14728266 313201664
# Springenberg et al., arXiv:1412.6806, table 1: about 1.4 million; Network in Network about 1 million
all_cnn_c 1369738 270798336
nin 966986 222486528
# Huang et al., arXiv:1608.06993, table 2: 1.0 million
densenet_40_12 1019722 264812928
# kuangliu, pytorch-cifar: GoogLeNet
inception 6166250 1521756160
# He et al., arXiv:1512.03385, table 1: 1.8 billion; torchvision's resnet18: 11,689,512 and 1.814 billion
resnet18_224 11689512 1814073344
# Sandler et al., arXiv:1801.04381, table 4: 3.4 million and 300 million; torchvision's mobilenet_v2: 3,504,872 and 0.301
# billion
mobilenet_v2_224 3504872 300774272
# the same with ten classes, 1,281,000 - 12,810 parameters less
mobilenet_v2 2236682 87976448
# kuangliu, pytorch-cifar: MobileNet
mobilenet_v1 3217226 46354432
# Yerlan Idelbayev, pytorch_resnet_cifar10: 0.27, 0.46, 0.66, 0.85 and 1.7 million, as in table 6 of He et al., arXiv:1512.03385;
# option B takes projections of 16 x 32 and 32 x 64 and their normalisation more
resnet20 269722 40551040
resnet32 464154 68862592
resnet44 658586 97174144
resnet56 853018 125485696
resnet110 1727962 252887680
resnet20 272474 40813184 -D projection=on
# He et al., arXiv:1603.05027: 1.7 million
resnet110_preact 1727962 252887680
# counted in PyTorch alone
se_resnet20 271738 40553056
wrn_16_4 2748890 392612352
squeezenet 732010 52543488
shapes_unet 475795 29196288
ZOO
}

# The figure behind a word of the summary.
figure() {
    sed -n "s/^ *$1: //p" out | tr -d ,
}

figures | grep -v '^#' >list
while read -r model parameters multiply_adds options; do
    # shellcheck disable=SC2086
    expect 0 "$CNNC" --summary $options "$TOP/models/$model.cnn" || continue
    trained=$(figure trainable)
    [ "${trained:-$(figure Parameters)}" = "$parameters" ] ||
        fail "$model $options has $trained trainable parameters, not $parameters"
    counted=$(figure 'Multiply-adds forward, one sample')
    [ "$counted" = "$multiply_adds" ] || fail "$model $options has $counted multiply-adds, not $multiply_adds"
done <list

# ---- what the files say of themselves
with_points() {
    echo "$1" | sed -e ':a' -e 's/\([0-9]\)\([0-9]\{3\}\)\(,\|$\)/\1,\2\3/' -e 'ta'
}
while read -r model parameters multiply_adds options; do
    [ -z "$options" ] && [ "$model" != resnet8 ] || continue
    sed -n '/^#/!q; s/^# *//; p' "$TOP/models/$model.cnn" | tr '\n' ' ' >said
    grep -q "$(with_points "$parameters") parameters" said || fail "$model does not say that it has $parameters parameters"
done <list

# ---- every one of them is in the list, but for those that are there for other reasons
machine=native
[ "${CNN_TARGET-}" != aarch64 ] || machine=armv8-a         # of a compiler for another machine
for model in "$TOP"/models/*.cnn; do
    name=$(basename "$model" .cnn)
    case $name in
    cifar10_* | shapes_*) continue ;;
    esac
    grep -q "^$name " list || fail "$name has no figures here"
done

# ---- what is emitted compiles without a warning; all of them where bigcheck asks for more
for model in "$TOP"/models/*.cnn; do
    name=$(basename "$model" .cnn)
    case $name in
    cifar10_* | shapes_* | resnet8) continue ;;                     # emitted.sh
    vgg11 | resnet20 | mobilenet_v1) ;;
    *) [ -n "${CNN_LIMITS-}" ] || continue ;;
    esac
    expect 0 "$CNNC" "$model" -o "$name.c" || continue
    # shellcheck disable=SC2086
    $CC -std=gnu11 ${CNNC_CFLAGS-} -O1 -march=$machine -Wall -Wextra -Wshadow -Werror -I"$TOP/runtime" -I"$TOP/runtime/vec" \
        -c "$name.c" -o "$name.o" 2>err || fail "$name.c: $(head -n 3 err)"
    rm -f "$name.o"
done
finish
