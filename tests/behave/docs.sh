#!/usr/bin/env bash
# The documentation does what it says.  Every fenced block of README.md, CONTRIBUTING.md and docs/*.md says what it is:
#
#   cnn [NAME.cnn]          a whole file: cnnc --check takes it in silence; it is kept as NAME.cnn for what follows
#   cnn part [CxHxW]        some sections or declarations of one; what is missing is added here (an input of CxHxW)
#   cnn in SECTION [CxHxW]  lines of a section
#   cnn refused             a whole file that cnnc refuses
#   cnn sketch              is not compiled
#   sh run                  commands that are run, each block with the files of those before it
#   console                 the same with what they print: lines after `$ `; `...` in it stands for anything, alone on
#                           a line for any lines
#   anything else           sh, c, make, python, text...: only looked at by people
#
# and docs/language.md has every name that the compiler knows, and no other among its tables.
. "$(dirname "$0")/../run/common.sh"
PATH=$BUILD:$PATH
OMP_NUM_THREADS=1
export PATH OMP_NUM_THREADS
here=$PWD

# ---- taking a page apart: N.info holds line and mark, N.body the text ---------------------------------------------
blocks_take() {
    awk -v to="$2" '
        inside && /^[ \t]*```[ \t]*$/ { inside = 0; close(file); next }
        inside { print >file; next }
        /^[ \t]*```/ {
            n++; inside = 1
            mark = $0; sub(/^[ \t]*```/, "", mark)
            printf "%d %s\n", NR, mark >(to "/" n ".info"); close(to "/" n ".info")
            file = to "/" n ".body"; printf "" >file
        }
        END { if (inside) exit 1 }' "$1"
}

# ./given with the sections that it does not have
extent=3x32x32
fill() {
    cat given
    case $(grep -oE '^(data|network|train|model)\b' given | tr '\n' ' ') in
    *model*) ;; *) echo 'model filled' ;; esac
    grep -q '^data' given || echo 'data { images "pictures"; split 0.5; resize 64; scale 1/255 }'
    grep -q '^network' given || echo "network { input $extent; flatten; dense 10, softmax }"
    grep -q '^train' given || echo 'train { loss categorical_crossentropy; optimizer adam; metrics accuracy }'
}

# The lines of a section with what it needs besides.
wrap() {
    case $1 in
    network)
        echo 'network {'; grep -q '^ *input ' body || echo "input $extent"; cat body; echo '}' ;;
    data)
        echo 'data {'
        grep -qE '^ *(cifar10|cifar100|csv|images|mnist|npy|npz|shapes) ' body || echo 'images "pictures"'
        cat body
        grep -qE '^ *(scale|normalize) ' body || echo 'scale 1/255'
        echo '}' ;;
    train)
        echo 'train {'
        for line in 'loss categorical_crossentropy' 'optimizer adam' 'metrics accuracy'; do
            grep -q "^ *${line%% *} " body || echo "$line"
        done
        cat body; echo '}' ;;
    *) echo "unknown_section $1" ;;
    esac
}

# Makes model.cnn of ./body and checks it.  Lines of `train` may name the metrics that the page has declared.
check_block() { # place kind rest...
    place=$1 kind=$2
    shift 2
    wanted=0
    extent=$(printf '%s\n' "$@" | grep -E '^[0-9]+x[0-9]+x[0-9]+$' || echo 3x32x32)
    case $kind in
    whole) cp body model.cnn ;;
    refused) cp body model.cnn; wanted=1 ;;
    part)
        cp body given
        fill >model.cnn
        if grep -q '^metric' body; then cat body >>declared; fi ;;
    in)
        wrap "$1" >given
        if [ "$1" = train ]; then cat declared >>given; fi
        if [ "$1" = network ]; then cp given model.cnn; else fill >model.cnn; fi ;;
    esac
    "$CNNC" --check model.cnn >out 2>err
    status=$?
    compiled=$((compiled + 1))
    if [ $status -ne $wanted ] || { [ $wanted = 0 ] && [ -s err ]; }; then
        fail "$place: cnnc --check ends with $status instead of $wanted"
        sed 's/^/    /' err | head -8
    fi
}

# What was printed against what the page says.
console_check() { # place
    rm -f command.* wanted.*
    awk '/^\$ / { n++; print substr($0, 3) >("command." n); next } { print >("wanted." n) }' body
    for ((n = 1; ; n++)); do
        [ -e command.$n ] || break
        touch wanted.$n
        bash -c "$(cat command.$n)" 2>&1 | sed 's/[[:space:]]*$//' >printed
        # every character stands for itself, but for the dots
        pattern=$(sed 's/[][\\*?]/\\&/g; s/\.\.\./*/g' wanted.$n)
        # shellcheck disable=SC2053
        if [[ "$(cat printed)" != $pattern ]]; then
            fail "$1: what is printed is not what the page shows: $(cat command.$n)"
            diff wanted.$n printed | sed 's/^/    /' | head -20
        fi
        ran=$((ran + 1))
    done
}

pages=0 compiled=0 ran=0
for page in "$TOP/README.md" "$TOP/CONTRIBUTING.md" "$TOP"/docs/*.md; do
    name=${page#"$TOP/"}
    folder=$here/$(basename "$page" .md)
    mkdir -p "$folder/blocks" "$folder/work"
    blocks_take "$page" "$folder/blocks" || fail "$name: a block is not closed"
    cd "$folder/work" || exit 99
    : >declared
    ln -s "$TOP/models" models
    pages=$((pages + 1))
    for ((i = 1; ; i++)); do
        [ -e ../blocks/$i.info ] || break
        read -r line mark <../blocks/$i.info
        cp ../blocks/$i.body body
        place=$name:$line
        # shellcheck disable=SC2086
        case $mark in
        '') fail "$place: the block does not say what it is" ;;
        'cnn part'*) check_block $place part ${mark#cnn part} ;;
        'cnn in '*) check_block $place in ${mark#cnn in } ;;
        'cnn refused') check_block $place refused ;;
        'cnn sketch') ;;
        cnn) check_block $place whole ;;
        'cnn '*.cnn)
            check_block $place whole
            # pages train on more than a test has time for
            sed 's/train=20000, val=2000/train=320, val=64/' body >"${mark#cnn }" ;;
        'cnn '*) fail "$place: '$mark' is no mark" ;;
        console) console_check $place ;;
        'sh run')
            bash -e body >out 2>err </dev/null || { fail "$place: the commands fail"; tail -n 5 out err | sed 's/^/    /'; }
            ran=$((ran + 1)) ;;
        esac
    done
    cd "$here" || exit 99
done

# ---- links lead somewhere
for page in "$TOP/README.md" "$TOP/CONTRIBUTING.md" "$TOP"/docs/*.md "$TOP"/examples/*/README.md; do
    grep -o '](\([^):#]*\))' "$page" | tr -d ']()' | sort -u >links
    while read -r link; do
        [ -e "$(dirname "$page")/$link" ] || fail "${page#"$TOP/"} links to '$link', which is not there"
    done <links
done
echo "$pages pages, $compiled blocks of cnn compiled, $ran blocks and lines of commands run"
[ "$compiled" -ge 20 ] && [ "$ran" -ge 18 ] || fail "the pages' blocks were not found"

# ---- every name is documented -----------------------------------------------------------------------------------
page=$TOP/docs/language.md
# a file that uses each layer, callback and metric; where a new one is missing here, the next loop says so
cat >all.cnn <<'CNN'
activation mish(x) = x * tanh(softplus(x))
metric sure(y, p) higher_is_better = mean(y * mish(p))
model all
data { images "pictures"; split 0.1; limit train=10; resize 64; augment flip; tta flip; scale 1/255; normalize auto }
network {
    input 3x32x32
    conv2d 4, 3x3, relu
    conv2d_transpose 4, 3x3
    locally_connected2d 4, 3x3
    depthwise_conv2d 3x3; separable_conv2d 4, 1x1
    batchnorm; layernorm; groupnorm 2; lrn 5; prelu; scale 0.5
    add { branch { } branch { relu6 } }
    multiply { branch { } branch { global_maxpool2d } }
    concat { branch { } branch { relu6 } }
    maxpool2d 2x2; avgpool2d 2x2
    upsample2d 2; zero_pad2d 1; pad_channels 1
    ACTIVATIONS
    mish
    dropout 0.5; spatial_dropout2d 0.5
    add { branch { flatten; dense 10; reshape 5x1x2; flatten } branch { global_avgpool2d } }
    dense 10
    softmax
}
train {
    loss categorical_crossentropy
    optimizer adam
    metrics accuracy, top_k, precision, recall, f1, auc, sure
    class_weights [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]
    precision bf16
    reduce_lr_on_plateau; early_stopping; checkpoint "kept.safetensors"; stop_on_nan
}
CNN
activations=$(sed -n 's/^ACTIVATION(\([a-z0-9_]*\), ".*/\1/p' "$TOP/compiler/expr/activations.def")
sed -i "s/ACTIVATIONS/$(echo $activations | sed 's/ /; /g')/" all.cnn
expect 0 "$CNNC" --explain all.cnn
cp out explained
# the losses that the model above has not: of the input, which any but that of classes is taken of
for loss in $(sed -n 's/^LOSS(\(.*\))$/\1/p' "$TOP/compiler/model/losses.def" | grep -v categorical); do
    echo "model of_$loss; data { shapes; scale 1/255; target input }; network { input 3x32x32; conv2d 3, 1x1, sigmoid }
        train { loss $loss; optimizer adam }" >loss.cnn
    expect 0 "$CNNC" --explain loss.cnn
    grep -w "loss $loss" out >>explained
done
for optimizer in $(sed -n 's/^    {\.name = "\([a-z]*\)", \.args = \1_args, .*/\1/p' "$TOP/compiler/model/recipes.c"); do
    sed "s/optimizer adam$/optimizer $optimizer; params dense_1, from=1, until=2/" all.cnn >one.cnn
    "$CNNC" --explain one.cnn 2>/dev/null | grep -E '^ *(optimizer|params) ' >>explained
done
schedules=$(sed -n 's/^SCHEDULE(\([a-z_]*\),.*/\1/p' "$TOP/compiler/model/schedules.def")
for schedule in $schedules; do
    case $schedule in
    step) options='at=[1], ' ;;
    exponential) options='factor=0.5, ' ;;
    *) options= ;;
    esac
    sed "s/^ *reduce_lr_on_plateau;/    lr_schedule $schedule, ${options}warmup=0;/" all.cnn >scheduled.cnn
    expect 0 "$CNNC" --explain scheduled.cnn
    sed -n 's/^ *lr_schedule \([a-z_]*\), /\1 /p' out >>explained
done
# what the compiler's own tables hold
layers=$(sed -n 's/^LAYER(\(.*\))$/\1/p' "$TOP/compiler/ops/layers.def")" $activations"
recipe_words=$({
    grep -oE '(\.name = |SHARE_ARG\()"[a-z0-9_]*"' "$TOP/compiler/model/recipes.c" | cut -d'"' -f2
    sed -n 's/^[A-Z]*(\([a-z0-9_]*\))$/\1/p' "$TOP/compiler/model/losses.def" "$TOP/runtime/common/data_steps.def"
    echo "$schedules"
} | sort -u)
initialisers=$(sed -n '/ initialisers\[\] = {/,/^};/s/.*{ { "\([a-z_]*\)".*/\1/p' "$TOP/compiler/ops/initialiser.c")
functions=$(sed -n '/EXPR_HIDDEN/d; s/^OPERATION([A-Z0-9_]*, "\([a-z0-9_]*\)".*/\1/p' "$TOP/compiler/expr/operations.def"
    sed -n '/value_functions\[\] = {/,/};/p' "$TOP/compiler/check/check_value.c" | grep -o '{"[a-z0-9_]*"' | cut -d'"' -f2)
later=$(sed -n '/^\/\* ---- not in this version/,$p' "$TOP/compiler/model/recipes.c" | grep -o '"[a-z0-9_]*"' | tr -d '"')
options=$(grep -oE '\b[a-z_0-9]+=' explained | tr -d = | sort -u)
for list in layers recipe_words initialisers functions options; do
    [ "$(wc -w <<<"${!list}")" -ge 9 ] || fail "the list of $list was not found: ${!list}"
done
for layer in $layers; do
    grep -qw "$layer" explained ||
        fail "the layer '$layer' is not among those that are explained here"
done
# the defaults are those of the tables: `name` ... `option` (value), `name` (value), `name(option=value)`
awk -F'|' '/^\|/ {
    count = split($2, names, /`, */)
    for (c = 1; c <= count; c++) {
        name = names[c]
        gsub(/[ `]*/, "", name)
        if (name == "") continue
        name = names[c]
        gsub(/`/, "", name)
        sub(/^ +/, "", name)
        sub(/^(optimizer|loss) /, "", name)
        if (match(name, /^[a-z0-9_]+\([a-z]+=[^)|]*\)/)) {
            option = value = name
            gsub(/.*=|\).*/, "", value)
            gsub(/.*\(|=.*/, "", option)
            sub(/\(.*/, "", name)
            print name, option, value
        }
        sub(/[^a-z0-9_].*/, "", name)
        if (match($3, /^ \([0-9]+\)/)) print name, "-", substr($3, 3, RLENGTH - 3)
        for (cell = 3; cell < NF; cell++) {
            rest = $cell
            while (match(rest, /`[a-z0-9_]+` \((the )?[a-z0-9_.e-]+\)/)) {
                option = value = substr(rest, RSTART, RLENGTH)
                rest = substr(rest, RSTART + RLENGTH)
                gsub(/`|\(.*| /, "", option)
                gsub(/.*\((the )?|\)/, "", value)
                print name, option, value
            }
        }
    }
}' "$page" | grep -vwE "^($(echo $initialisers | tr ' ' '|'))" >promised
awk -f "$TOP/tests/behave/defaults.awk" explained promised >compared
[ "$(tail -n 1 compared | cut -d' ' -f1)" -gt 40 ] || fail "the defaults of docs/language.md were not found"
while read -r line; do fail "docs/language.md: $line"; done < <(sed '$d' compared)
tr -d '\n' <"$page" | grep -oE '`[^`]*`' | tr -c 'a-z0-9_' '\n' | sort -u >documented
for word in $layers $recipe_words $initialisers $functions $later $options; do
    grep -qx "$word" documented || fail "docs/language.md does not mention '$word'"
done
# and what stands in the tables of the sections is understood: names from the compiler's tables, and these
arguments=$(grep -ohE '\.name = "[a-z0-9_]*"' "$TOP"/compiler/ops/*.[ch] | cut -d'"' -f2)
words=$(sed -n 's/^static const char \*const [a-z0-9_]*\[\] = {\(.*\)NULL};/\1/p' "$TOP/compiler/model/recipes.c" | tr -d '",')
known="$layers $recipe_words $initialisers $functions $arguments $words loss optimizer metrics lr_schedule freeze trainable on off macro
    acc f1_macro precision_macro recall_macro top_5 c pixel w y p cos pi t n k e lr linear data_batch_1 test_batch bin"
tr -s ' ' '\n' <<<"$known" | sort -u >known
sed '/^## Not in this version/,$d' "$page" | sed -n '/^## network/,/^## Functions of/p' | grep '^|' | grep -oE '`[^`]*`' |
    sed 's/"[^"]*"//g' | grep -oE '[a-z][a-z0-9_]*' | sort -u >promised
[ "$(wc -l <promised)" -gt 60 ] || fail "the tables of docs/language.md were not found"
comm -23 promised known >unknown
[ -s unknown ] && fail "the tables of docs/language.md promise what nobody knows: $(tr '\n' ' ' <unknown)"
for word in $later; do
    grep -qx "$word" promised && fail "docs/language.md promises '$word', which this version does not support"
done
finish
