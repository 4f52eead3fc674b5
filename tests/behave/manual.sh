#!/usr/bin/env bash
# The manual pages name the options that there are, with their arguments, in the order of --help, and no others; the
# page of the language names every layer and every word of a recipe.
. "$(dirname "$0")/../run/common.sh"
pages=$TOP/docs/man

# Stdin: a page.  Prints the tags of a section, one a line, without fonts and quotes; a [...] below a tag follows it.
tags() { # SECTION
    sed -n "/^\\.SH $1\$/,/^\\.SH /p" | awk '
        tag != "" { print tag ($0 ~ /^\[.*\]$/ ? " " $0 : ""); tag = "" }
        now { tag = $0; now = 0 }
        /^\.TP/ { now = 1 }
        END { if (tag != "") print tag }' |
        sed -e 's/^\.[A-Z]* //' -e 's/" "/\a/g; s/", "/,\a/g' -e 's/\\f[A-Z]//g; s/\\-/-/g; s/"//g' \
            -e ':again' -e 's/^\([^[]*[^[ ]\) \([^[]\)/\1\2/; t again' -e "s/\\a/ /g"
}

# ---- cnnc.1
"$CNNC" --help | sed -n 's/^  \(  \)* *\(-[^ ]*\( --[^ ]*\)*\).*/\2/p' >help
tags OPTIONS <"$pages/cnnc.1" >page
[ "$(wc -l <help)" -gt 15 ] || fail "--help shows no options: $(cat help)"
diff help page || fail "cnnc.1 does not list the options of cnnc --help (<: --help, >: the page)"

# ---- cnnc-trainer.7
cat >small.cnn <<'CNN'
model small
data { shapes classes=10, train=20, val=20, seed=0; scale 1/255 }
network { input 3x32x32; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 10; seed 1 }
CNN
if build small CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}"; then
    ./small --help >all
    sed -n '/^Options:/,/^$/p' all | sed -n -e 's/^  \(--[^ ]*\( [A-Z|0-9]*\)\{0,1\}\)  *\([^ ].*\)/\1\t\3/p' |
        sed -e 's/ *\t.*\(\[[a-z, -]*\]\)$/ \1/' -e 's/ *\t.*//' >help
    tags OPTIONS <"$pages/cnnc-trainer.7" >page
    [ "$(wc -l <help)" -gt 15 ] || fail "the trainer's --help shows no options"
    diff help page || fail "cnnc-trainer.7 does not list the options of a trainer's --help (<: --help, >: the page)"
    sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' all >help
    tags COMMANDS <"$pages/cnnc-trainer.7" >page
    [ -s help ] || fail "the trainer's --help shows no commands"
    diff help page || fail "cnnc-trainer.7 does not list the commands of a trainer (<: --help, >: the page)"
fi

# ---- cnn.5
{
    sed -n 's/^LAYER(\(.*\)).*/\1/p; s/^ACTIVATION(\([a-z0-9_]*\), ".*/\1/p' \
        "$TOP/compiler/ops/layers.def" "$TOP/compiler/expr/activations.def"
    sed -n 's/^[A-Z]*(\([a-z0-9_]*\))$/\1/p' "$TOP/compiler/model/losses.def" "$TOP/runtime/common/data_steps.def"
    sed -n 's/^SCHEDULE(\([a-z_]*\),.*/\1/p' "$TOP/compiler/model/schedules.def"
    sed -n '/static/,$s/.*\.name = "\([a-z0-9_]*\)".*/\1/p' "$TOP/compiler/model/recipes.c" | grep -v -x -e dir -e name -e file -e count -e size
} | sort -u >words
[ "$(wc -l <words)" -gt 60 ] || fail "too few words of the language found: $(wc -l <words)"
tr -c 'a-z0-9_' '\n' <"$pages/cnn.5" | sort -u >there
comm -23 words there >missing
[ -s missing ] && fail "cnn.5 does not name: $(tr '\n' ' ' <missing)"

# the defaults are those of the tables: `.BR option =value` below the names of a tag
cat >defaults.cnn <<'CNN'
model defaults
data { images "pictures" }
network {
    input 3x32x32
    conv2d 4, 3x3; depthwise_conv2d 3x3; separable_conv2d 4, 3x3; conv2d_transpose 4, 3x3; locally_connected2d 4, 3x3; batchnorm; layernorm; groupnorm 2; lrn 5; prelu; maxpool2d 2x2; avgpool2d 2x2; upsample2d 2; leaky_relu; elu
    flatten; dense 10; softmax
}
train {
    loss categorical_crossentropy; optimizer adam; metrics top_k, f1
    reduce_lr_on_plateau; early_stopping; checkpoint "kept.safetensors"; stop_on_nan
}
CNN
"$CNNC" --explain defaults.cnn >explained 2>/dev/null
for schedule in cosine 'step, at=[1]' 'exponential, factor=0.5' polynomial one_cycle; do
    sed "s/reduce_lr_on_plateau;/lr_schedule $schedule, warmup=0;/" defaults.cnn >scheduled.cnn
    "$CNNC" --explain scheduled.cnn 2>/dev/null | sed -n 's/^ *lr_schedule \([a-z_]*\), /\1 /p' >>explained
done
sed 's/images "pictures"/shapes/' defaults.cnn >shapes.cnn
"$CNNC" --explain shapes.cnn 2>/dev/null | grep -w shapes >>explained
# the losses that the model above has not: of the input, which any but that of classes is taken of
for loss in $(sed -n 's/^LOSS(\(.*\))$/\1/p' "$TOP/compiler/model/losses.def" | grep -v categorical); do
    echo "model of_$loss; data { shapes; scale 1/255; target input }; network { input 3x32x32; conv2d 3, 1x1, sigmoid }
        train { loss $loss; optimizer adam }" >loss.cnn
    expect 0 "$CNNC" --explain loss.cnn
    grep -w "loss $loss" out >>explained
done
for optimizer in adamw nadam sgd rmsprop adagrad muon; do
    sed "s/optimizer adam;/optimizer $optimizer; params dense_1;/" defaults.cnn >one.cnn
    "$CNNC" --explain one.cnn 2>/dev/null | grep -E '^ *(optimizer|params) ' >>explained
done
sed -e 's/\\-/-/g' "$pages/cnn.5" | awk '
    now { tag = $0; now = 0; sub(/^\.[A-Z]* /, "", tag); sub(/^(optimizer|loss) /, "", tag)
          count = split(tag, names, /"\\fR, \\fP/); next }
    /^\.TP/ { now = 1; count = 0; next }
    /^\.BR [a-z0-9_]+ =[^ |]+$/ { for (i = 1; i <= count; i++) {
        name = names[i]
        sub(/[^a-z0-9_].*/, "", name)
        if (name != "") print name, $2, substr($3, 2) } }' >promised
awk -f "$TOP/tests/behave/defaults.awk" explained promised >compared
[ "$(tail -n 1 compared | cut -d' ' -f1)" -gt 30 ] || fail "the defaults of cnn.5 were not found"
while read -r line; do fail "cnn.5: $line"; done < <(sed '$d' compared)

# ---- all of them are sound
for page in "$pages"/*.[1-8]; do
    grep -q '^\.SH NAME$' "$page" || fail "${page##*/} has no NAME"
    if command -v groff >/dev/null; then
        groff -man -Tutf8 -ww -z "$page" >warnings 2>&1
        [ -s warnings ] && { fail "groff on ${page##*/}"; head -5 warnings; }
    fi
done
finish
