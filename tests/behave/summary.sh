#!/usr/bin/env bash
# cnnc --summary, and what a trainer's `summary` says of the same.
. "$(dirname "$0")/../run/common.sh"

# the table: what stands between the double rules
table() {
    sed -n '/^===/,/^===/p' "$1"
}

cat >nested.cnn <<'CNN'
model nested
block unit(filters, stride=1) {
    add {
        branch {
            conv2d filters, 3x3, padding=1, stride=stride, bias=off as conv
            batchnorm relu
        }
        branch { if stride != 1 or in_channels != filters { conv2d filters, 1x1, stride=stride } }
    }
    relu
}
block stage(filters, stride) {
    unit filters, stride as first
    unit filters as second
}
data { shapes classes=10, train=20, val=20; scale 1/255 }
network {
    input 3x32x32
    conv2d 8, 3x3, relu, padding=same, trainable=off as stem
    stage 8, 1 as one
    repeat 2 as i { stage 16 * (i + 1), 2 as more }
    unit 32
    global_avgpool2d
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 10; seed 1; threads 1 }
CNN
build nested CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}" || finish

# ---- the trainer prints the same table and sums; with one thread the same memory
expect 0 "$CNNC" --summary nested.cnn
cp out whole
expect 0 ./nested summary --threads 1 --data-memory 3
cp out own
table whole >a
table own >b
[ "$(wc -l <a)" -ge 30 ] || fail "the table was not found"
diff a b >log || { fail "the trainer's table is another one"; head log; }
for word in Parameters trainable frozen 'running statistics' Multiply-adds; do
    [ "$(grep "^ *$word.*:" whole)" = "$(grep "^ *$word.*:" own)" ] || fail "the trainer says something else of $word"
    grep -q "^ *$word.*: [1-9]" whole || fail "nothing is said of $word"
done
for word in weights 'running statistics' gradients 'optimizer state' 'input and output' activations workspace; do
    bytes=$(sed -n "s/^  $word  *\([0-9,]*\)\( .*\|\)$/\1/p" whole)
    [ -n "$bytes" ] && [ "$bytes" = "$(sed -n "s/^  $word  *\([0-9,]*\)\( .*\|\)$/\1/p" own)" ] ||
        fail "the trainer needs other memory for $word than $bytes"
done
grep -q '^  samples, at most  *3,145,728 ' own || fail "--data-memory does not show"
grep -q -e --data-memory whole || fail "cnnc does not say what bounds the samples"

# ---- the rows add up: parameters, and what layers cost
sum() { # COLUMN: from the right end of its title to the left
    awk -v title="$1" '/^Layer / { end = index($0, title) + length(title) - 1 }
        /^===/ || /^---/ || /^Layer / { next }
        { text = substr($0, 1, end); sub(/.* /, "", text); gsub(/,/, "", text)
          if (substr($0, end, 1) ~ /[0-9]/) total += text } END { print total + 0 }' "$2"
}
all=$(sed -n 's/^Parameters: //p' whole | tr -d ,)
[ "$(sum Parameters a)" = "$all" ] || fail "the rows have $(sum Parameters a) parameters, not $all"

# ---- folded: a row for each use of a block at the top, with the sums of its layers
expect 0 "$CNNC" --summary=blocks nested.cnn
cp out folded
table folded >c
diff <(table whole | wc -l) <(table folded | wc -l) >/dev/null && fail "--summary=blocks folds nothing"
[ "$(sum Parameters c)" = "$all" ] || fail "folded rows have $(sum Parameters c) parameters, not $all"
[ "$(sum Bytes c)" = "$(sum Bytes a)" ] || fail "folded rows have other bytes"
sed 1,3d c | sed '$d' | sed 's/  .*//' | tr '\n' '|' >names
[ "$(cat names)" = 'input_1|stem|one|more.0|more.1|unit (line 22)|global_avgpool2d_1|dense_1|' ] || fail "rows of blocks: $(cat names)"
grep -qE '^more\.1 +stage 16 \* \(i \+ 1.* 32x8x8 .* 9 layers$' c || fail "a block's row: $(grep ^more.1 c)"
diff <(sed '/^===/,/^===/d' whole) <(sed '/^===/,/^===/d' folded) >/dev/null || fail "folding changes the sums"
expect 0 "$CNNC" --summary=layers nested.cnn
cmp out whole || fail "--summary=layers is not --summary"

# ---- for programs
expect 0 "$CNNC" --summary --json nested.cnn
if command -v python3 >/dev/null; then
    python3 - out "$all" <<'PY' || fail "the JSON is not what it should be"
import json, sys
s = json.load(open(sys.argv[1]))
assert s["model"] == "nested" and s["batch"] == 10 and s["real"] == "float"
total = s["parameters"]
assert total["all"] == int(sys.argv[2]) == sum(l["parameters"] for l in s["layers"])
assert total["all"] == total["trainable"] + total["frozen"] + total["running_statistics"]
assert total["trainable"] == sum(l["trainable"] for l in s["layers"])
assert total["running_statistics"] == sum(l["running_statistics"] for l in s["layers"])
assert s["multiply_adds"] == sum(l["multiply_adds"] for l in s["layers"])
memory = s["memory"]
assert memory["in_all"] == sum(v for k, v in memory.items() if k != "in_all")
names = [l["name"] for l in s["layers"]]
for l in s["layers"][1:]:
    assert all(i in names for i in l["inputs"]) and l["inputs"], l
conv = next(l for l in s["layers"] if l["name"] == "one.first.conv")
assert conv["kind"] == "conv2d" and conv["result"] == [8, 32, 32] and conv["bytes"] == 4 * 8 * 32 * 32 and conv["kernel"]
assert conv["parameters"] == 576 and conv["multiply_adds"] == 576 * 1024 and len(conv["used_at_lines"]) == 2
PY
fi

# ---- without a recipe, and every model of the zoo
sed -n '/^block/,/^}/p; /^network/,/^}/p' nested.cnn >bare.cnn
expect 0 "$CNNC" --summary bare.cnn
grep -q "^Parameters: $(sed -n 's/^Parameters: //p' whole)$" out || fail "a network alone has other parameters"
grep -q -e Memory -e Kernel out && fail "a network alone has no memory and no kernels"
expect 0 "$CNNC" --summary --json bare.cnn
expect 0 "$CNNC" --summary=blocks --real=double bare.cnn
for file in "$TOP"/models/*.cnn; do
    for by in layers blocks; do
        expect 0 "$CNNC" --summary=$by --target=x86-64-v3 "$file"
        awk 'length($0) > 120 { print; exit 1 }' out || fail "$file: a line is too long to be pasted"
        [ "$(grep -c '^===' out)" = 2 ] || fail "$file has no table"
    done
done

# ---- wrong use
expect 2 "$CNNC" --summary=all nested.cnn
expect 2 "$CNNC" --summary=blocks --json nested.cnn
finish
