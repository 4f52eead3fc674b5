#!/usr/bin/env bash
# Time and memory grow no faster than the model: models that are much of one thing (limits.awk), each at two sizes, the
# second twice the first.  Every run stays within a gigabyte and some seconds of processor time, and twice as much takes
# at most three times as long (runs of a few hundredths of a second aside).  CNN_LIMITS=1 takes larger ones too.
. "$(dirname "$0")/../run/common.sh"

seconds=20 memory=1000000 floor=150 growth=3
case ${CNNC_CFLAGS-} in
*sanitize*)         # reserves terabytes of addresses, and verifies every structure, which takes longer than to make it
    memory=unlimited seconds=60 floor=60000 ;;
esac
TIMEFORMAT='%3U %3S'

limited() {
    (ulimit -v $memory -t $seconds && exec "$@" >out 2>err)
}

# run_once EXPECTED COMMAND...: sets `spent`, milliseconds of processor time
run_once() {
    expected_status=$1
    shift
    { time limited "$@"; } 2>time
    actual_status=$?
    spent=$(awk '{ print int(1000 * ($1 + $2)) }' time)
    [ "$actual_status" = "$expected_status" ]
}

make_model() {
    awk -v kind="$1" -v n="$2" -f "$TOP/tests/behave/limits.awk" >"$1.cnn"
    [ -s "$1.cnn" ] || fail "$1: no such kind"
}

# grows NAME N PREPARE EXPECTED COMMAND...: PREPARE is called with NAME and N, then twice N.  A busy machine may make one
# measurement longer: the least of three counts.
grows() {
    name=$1 n=$2 prepare=$3 expected=$4
    shift 4
    $prepare "$name" "$n"
    run_once "$expected" "$@" || {
        fail "$name, $n: exit status $actual_status: $(head -n 1 err | cut -c1-200)"
        return
    }
    small=$spent
    $prepare "$name" $((2 * n))
    for try in 1 2 3; do
        run_once "$expected" "$@" || {
            fail "$name, $((2 * n)): exit status $actual_status: $(head -n 1 err | cut -c1-200)"
            return
        }
        [ $try = 1 ] || [ "$spent" -lt "$large" ] && large=$spent
        [ "$large" -le $((growth * small + floor)) ] && break
    done
    echo "$name: $n take $small ms, $((2 * n)) take $large"
    [ "$large" -le $((growth * small + floor)) ] || fail "$name: $n take $small ms, twice as many $large"
    [ "$(wc -c <err)" -lt 100000 ] || fail "$name: $(wc -c <err) bytes of messages"
}

# says TEXT: of what has just been run
says() {
    head -n 1 err | grep -qF -- "$1" || fail "$name: no '$1' in: $(head -n 1 err | cut -c1-200)"
}

# ---- what is read: exit status, kind, the first of two sizes; and what the message says
while read -r status kind n text; do
    grows "$kind" "$n" make_model "$status" "$CNNC" --check "$kind.cnn"
    [ -z "$text" ] || says "$text"
done <<'KINDS'
0 newlines 200000
0 semicolons 200000
0 newlines_in_list 200000
0 newlines_after_comma 200000
1 newlines_after_section 200000
0 comments 200000
0 comment 500000
0 spaces 500000
1 word 500000 this name has more than 64 characters [too_big]
0 digits 500000
1 number 500000 this number is too large [bad_number]
1 extent 200000 an extent has at most 3 parts [bad_extent]
0 string 500000
0 escapes 200000
1 parentheses 100000 more than 200 brackets are open here [too_deep]
1 brackets 100000 [too_deep]
1 braces 20000
1 branches_inside 10000
0 elses 900
1 sum 100000 this expression has more than 200 levels [too_deep]
1 powers 4000 [too_deep]
1 nots 4000 [too_deep]
1 choices 4000 [too_deep]
1 open 100000
1 close 100000
1 stray 100000
1 quotes 50000
1 syntax 20000
1 number_and_name 20000
1 unknown_layers 20000
1 unknown_sections 20000
1 unknown_names 10000
1 unknown_joined 10000
1 same_constants 20000
1 same_layers 10000
1 arguments 50000
0 constants 2400
0 constants_by_one_another 2400
0 list 100000
0 list_of_names 100000
0 functions 500
0 functions_calling 400
1 functions_doubling 400 is too large: names, numbers and operations are at most 20000 [too_big]
1 functions_in_a_ring 400 which comes back to 'f799' [recursion]
1 functions 2000 a file has at most 1000 functions [too_big]
0 scales 50
1 scales 20000 at most 100 steps are supported [too_big]
0 callbacks 50
1 callbacks 8000 at most 100 callbacks are supported [too_big]
0 frozen 50000
1 metrics_of_one 10000 at most 1000 metrics are supported [too_big]
1 parameters 10000 at most 50 parameters with a default are supported [too_big]
0 blocks 499
1 blocks 2000 a file has at most 1000 blocks [too_big]
0 blocks_not_used 499
0 blocks_calling 240
1 blocks_calling 499 blocks and bodies are more than 500 deep here [too_deep]
1 blocks_doubling 240 blocks and repeats make more than 100000 statements of this network [too_big]
1 blocks_in_a_ring 400 which comes back to 'b799' [recursion]
1 blocks_recursive 400
1 block_parameters 10000 a block has at most 50 parameters [too_big]
0 uses 16000
0 uses_named 20000
1 uses_wrong 20000
1 uses_apart 20000
0 rounds 900
1 rounds 4000 'times' of repeat must be at least 0 and at most 2000, found
0 rounds_inside 7
1 rounds_inside 90 blocks and repeats make more than 100000 statements of this network [too_big]
0 names_inside 95
1 names_long 95 which has more than 64 characters [too_big]
0 names_seen 20000
0 frozen_blocks 50000
1 joined 20000 at most 2000 results joined in all are supported [too_big]
1 branches 10000 at most 2000 results joined in all are supported [too_big]
1 activations 20000 a network has at most 2000 layers [too_big]
KINDS

# ---- what is formatted
while read -r status kind n; do
    grows "$kind" "$n" make_model "$status" "$CNNC" --format "$kind.cnn"
done <<'KINDS'
0 newlines 200000
0 newlines_in_list 200000
0 comments 200000
0 list 50000
0 constants 10000
0 functions_calling 4000
0 branches 10000
0 blocks 4000
KINDS

# ---- many files, and many -D
include_model() {
    { awk -v n="$2" 'BEGIN { for (i = 0; i < n; i++) print "include \"part.cnn\"" }'; cat plain.cnn; } >"$1.cnn"
}
define_model() {
    make_model constants "$2"
    awk -v n="$2" 'BEGIN { for (i = 0; i < n; i++) print "-Da" i "=2" }' >defines
}
with_defines() {
    xargs "$CNNC" --check constants.cnn <defines
}
awk 'BEGIN { for (i = 0; i < 400; i++) print "# a comment" }' >part.cnn
make_model spaces 1 && mv spaces.cnn plain.cnn
grows includes 99 include_model 0 "$CNNC" --check includes.cnn
awk 'BEGIN { for (i = 0; i < 50000; i++) print "# a comment" }' >part.cnn
grows includes 50 include_model 1 "$CNNC" --check includes.cnn
says 'with part.cnn, the files of this model are longer than 1 MiB together [too_big]'
export -f with_defines
grows defines 1000 define_model 0 bash -c with_defines

# ---- what is compiled
while read -r status kind n options; do
    # shellcheck disable=SC2086
    grows "$kind" "$n" make_model "$status" "$CNNC" "$kind.cnn" -o out.c $options
    rm -f out.c
done <<'KINDS'
0 metrics 400
0 metrics_of_one 400
0 values 200
0 sums 100
1 sums 800
0 terms 100
0 activations 900
0 named_layers 900
0 convolutions 480
0 convolutions 480 --batch=1
0 dense_layers 480
0 batchnorms 480
0 dropouts 900
0 pools 480
0 residuals 900
0 concatenations 900
0 squeezes 900
0 branches 900
0 empty_branches 900
0 joined 900
0 different_convolutions 60
0 kernel 255 --kernel conv2d_2=direct
0 kernel_in_steps 255 --kernel conv2d_2=direct
0 dilated_kernel 255 --kernel conv2d_2=direct
0 steps_of_kernel 255
0 average 255
0 positions 60
0 channels 20000
KINDS

# ---- all that cnnc says of a model
for option in --summary --graph=svg --graph=dot --explain --dump=ast --dump=model --dump=graph --dump=plan; do
    grows residuals 900 make_model 0 "$CNNC" $option residuals.cnn
done

# ---- weights of zero for the network in use
weighted_model() {
    make_model "$1" "$2"
    "$CNNC" --dump=graph "$1.cnn" | awk '
        /^    [A-Za-z0-9_]+\.[a-z_]+ [0-9x]+[, ]/ && !seen[$1]++ {
            count = split($2, part, /[x,]/)
            size = 4
            shape = ""
            for (i = 1; i <= count && part[i] != ""; i++) {
                size *= part[i]
                shape = shape (i > 1 ? "," : "") part[i]
            }
            printf "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%d,%d]}", end ? "," : "{", $1, shape,
                end, end + size
            end += size
        }
        END { print "}"; print end >"weights.size" }' >weights.head
    length=$(wc -c <weights.head)
    {
        for shift in 0 8 16 24 32 40 48 56; do
            # shellcheck disable=SC2059
            printf "\\$(printf %03o $(((length >> shift) & 255)))"
        done
        cat weights.head
        head -c "$(cat weights.size)" /dev/zero
    } >"$1.safetensors"
}
for kind in convolutions batchnorms pools residuals; do
    grows $kind 480 weighted_model 0 "$CNNC" --emit=inference --weights $kind.safetensors $kind.cnn -o out.c
done

[ -n "${CNN_LIMITS-}" ] || finish

# ---- at the limits
for kind in activations convolutions dense_layers batchnorms dropouts pools residuals branches joined different_convolutions; do
    for target in x86-64-v4 x86-64-v2 generic; do
        grows $kind 980 make_model 0 "$CNNC" --target=$target $kind.cnn -o out.c
    done
done
for side in 7 64 1000 4096; do
    for kind in kernel kernel_in_steps dilated_kernel average; do
        make_model $kind $side
        run_once 0 "$CNNC" $kind.cnn -o out.c || fail "$kind, $side: exit status $actual_status: $(head -n 1 err)"
        [ "$(wc -c <out.c)" -lt 200000 ] || fail "$kind, $side: $(wc -c <out.c) bytes of C"
    done
done
while read -r status kind n; do                 # the second is just below a megabyte
    grows "$kind" "$n" make_model "$status" "$CNNC" --check "$kind.cnn"
done <<'KINDS'
0 newlines 520000
0 string 520000
0 list 260000
1 sum 130000
1 open 260000
1 stray 260000
KINDS
finish
