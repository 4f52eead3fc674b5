#!/usr/bin/env bash
# What libFuzzer has found, and the seeds it began with: read again, without it.
. "$(dirname "$0")/../run/common.sh"
mkdir seeds
export CNN_FUZZ_FOLDER=$PWD
expect 0 "$BUILD/tests/fuzz/replay_files" --seeds seeds
count=0
for program in replay_model replay_files; do
    for target in $("$BUILD/tests/fuzz/$program" --targets); do
        set --
        for file in seeds/"$target".* "$TOP/tests/fuzz/seeds/$target".* "$TOP/tests/fuzz/cases/$target".*; do
            [ -f "$file" ] && set -- "$@" "$(realpath "$file")"
        done
        [ "$target" = model ] && set -- "$@" "$TOP"/models/cifar10_relu.cnn "$TOP"/models/resnet8.cnn
        count=$((count + $#))
        timeout 300 "$BUILD/tests/fuzz/$program" "$target" "$@" >out 2>err || {
            fail "$target: exit status $?"
            tail -n 20 err
        }
    done
done
[ $count -ge 30 ] || fail "only $count inputs were found"
finish
