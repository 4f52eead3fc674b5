#!/usr/bin/env bash
# cnnc --list: what it prints is what the check knows, docs/words.md is what it prints, and the limits of docs/language.md
# are those of bounds.h.
. "$(dirname "$0")/../run/common.sh"

# ---- the lists
expect 2 "$CNNC" --list=nonsense
lists=$(sed -n "s/^cnnc: --list: expected \(.*\), found 'nonsense'$/\1/p" err | sed 's/,\| or//g')
[ "$(wc -w <<<"$lists")" -ge 15 ] || fail "the lists were not found: $(cat err)"
[ "$(sed -n '/"list", "\[WHAT\]"/,/}}/p' "$TOP/compiler/options.c" | sed 1d | grep -o '"[a-z]*"' | tr -d '"' | tr '\n' ' ')" = "$lists " ] ||
    fail "completions offer other lists than there are"
for list in $lists; do
    expect 0 "$CNNC" --list=$list
    [ -s err ] && fail "--list=$list: $(cat err)"
    cp out $list
    grep -q "^$list: " $list || fail "--list=$list does not say what it is"
    sed 1,2d $list | sed -n 's/^\([a-z][a-z0-9_-]*\).*/\1/p' >$list.names
    [ "$(wc -l <$list.names)" -ge 3 ] || fail "--list=$list has few names"
    expect 0 "$CNNC" --list=$list --json
    cp out $list.json
    sed -n 's/^    "name": "\(.*\)",\{0,1\}$/\1/p' $list.json >names
    cmp -s names $list.names || fail "--list=$list --json has other names"
done
expect 0 "$CNNC" --list
for list in $lists; do
    [ "$list" = layers ] || echo
    cat $list
done | cmp -s - out || fail "--list is not all lists one after the other"
expect 0 "$CNNC" --json --list
for list in $lists; do grep -q "^  \"$list\": \[$" out || fail "--list --json has no $list"; done
if command -v python3 >/dev/null; then
    python3 - "$CNNC" <<'PY' || fail "the JSON is not what it should be"
import json, subprocess, sys
lists = json.loads(subprocess.run([sys.argv[1], "--list", "--json"], capture_output=True, check=True).stdout)
for name, entries in lists.items():
    one = json.loads(subprocess.run([sys.argv[1], "--list=" + name, "--json"], capture_output=True, check=True).stdout)
    assert one == entries, name
    for entry in entries:
        assert name == "functions" or entry["help"], entry
        for argument in entry.get("arguments", []):
            assert {"name", "type", "positional", "required", "help"} <= set(argument), argument
            assert not (argument["required"] and "default" in argument), argument
            assert argument["type"] != "word" or argument["words"], argument
conv = {a["name"]: a for e in lists["layers"] if e["name"] == "conv2d" for a in e["arguments"]}
assert conv["filters"]["required"] and conv["filters"]["positional"] and conv["filters"]["least"] == 1
assert conv["padding"]["default"] == "valid" and conv["padding"]["words"] == ["valid", "same"]
assert conv["trainable"]["words"] == ["on", "off", "bias"]
PY
fi

# ---- they are what the check says that there is
cat >wrong.cnn <<'CNN'
zzzqq 3
model wrong
data { shapes; zzzqq 3 }
network { input 3x32x32; zzzqq 3; conv2d 3, 3x3, zzzqq, init=zzzqq }
train { loss zzzqq; optimizer zzzqq; metrics zzzqq; zzzqq 3; lr_schedule zzzqq }
CNN
expect 1 "$CNNC" --check wrong.cnn
# said TEXT FILE...: the words behind that hint are the names in the files, in whatever order
said() {
    sed -n "s/^hint: $1\(.*\)$/\1/p" err | head -n 1 | tr -d ',' | sed 's/ and / /' | tr ' ' '\n' | sort >found
    shift
    cat "$@" | sort >listed
    [ "$(wc -l <found)" -ge 4 ] || fail "the check does not say what there is: $*"
    diff found listed >log || { fail "the check knows other words than $* (<: the check)"; cat log; }
}
sed -n 's/^\([a-z_]*\) .*(top: .*/\1/p' statements | grep -vx -e block -e activation -e loss -e metric >top
printf 'blocks\nfunctions\n' >>top
said 'a file has ' top
said 'sources and steps are: ' sources.names steps.names
said 'activations are: ' activations.names
said 'initialisers are: ' initialisers.names
said 'losses of this version: ' losses.names
said 'optimizers of this version: ' optimizers.names
said 'the schedules are: ' schedules.names
said 'the metrics are: ' metrics.names
{ sed -n 's/^\([a-z_]*\) .*(train: .*/\1/p' statements; cat callbacks.names; } | sort -u >train
said "statements of 'train' are: " train
all=$(cat layers.names activations.names <(sed -n 's/^\([a-z]*\) .*(network: .*/\1/p' statements | grep -vx -e branch -e if) | wc -l)
grep -q "^hint: the layers are: .* ($all in all)$" err || fail "the check knows another number of layers than $all"
sed -n 's/^"\([a-z]*\)" .*/\1/p' "$TOP/grammar/cnn.l" | sort >found
sort keywords.names | diff found - || fail "the scanner reserves other words (<) than are listed"
while read -r name rest; do
    arguments=$(cut -d, -f1-"${rest%% *}" <<<'0.25, 0.5, 1')
    case $rest in *values* | *formulas*)
        echo "const c = $name($arguments)" >called.cnn
        case $rest in *values*) ;; *) : >called.cnn ;; esac
        echo 'network { input 3x32x32; mine }' >>called.cnn
        case $rest in
        *formulas*) echo "activation mine(x) = x + $name(${arguments/0.25/x})" >>called.cnn ;;
        *) echo 'activation mine(x) = x * x' >>called.cnn ;;
        esac
        "$CNNC" --check called.cnn 2>err || { fail "the function $name is not known"; cat err; } ;;
    esac
    case $rest in *rates*)
        echo "network { input 3x32x32; flatten; dense 10, softmax }
            train { loss categorical_crossentropy; optimizer adam; lr_schedule lr + 0 * $name($arguments) }" >called.cnn
        "$CNNC" --check called.cnn 2>err || { fail "a rate does not know $name"; cat err; } ;;
    esac
done < <(sed 1,2d functions)
sed 1,2d sizes | while read -r name _; do echo "network { input 3x5x7; conv2d $name, 1x1 }"; done >sized
while read -r line; do
    echo "$line" >sized.cnn
    expect 0 "$CNNC" --check sized.cnn
done <sized

# ---- docs/words.md
bash "$TOP/tests/run/words" "$CNNC" >words.md
diff "$TOP/docs/words.md" words.md >log || {
    fail "docs/words.md is not what cnnc --list prints: tests/run/words build/cnnc >docs/words.md"
    head -20 log
}

# ---- docs/language.md: what has a row of its own in a table there has each of its arguments in it, with the default.  What
# all optimizers take has a table of its own, what all layers and schedules take is told of below theirs; a row may refer
# to another one (`the same, and`, `as conv2d, and`).
for list in layers activations losses optimizers schedules callbacks; do
    sed 1,2d $list | awk -v list=$list '
        /^[a-z]/ { entry = $1; print list, entry, "-", "-"; next }
        { name = value = $1; sub(/=.*/, "", name); gsub(/[][]/, "", name)
          if (!sub(/^[^=]*=/, "", value) || value == "...") value = "-"
          if (name !~ /^(trainable|warmup)$/) print list, entry, name, value }'
done >arguments
[ "$(wc -l <arguments)" -gt 120 ] || fail "few arguments were found: $(wc -l <arguments)"
awk '
    # whether the row has that argument, with the default where it has one: `name` (value), `name` (the value), name=value
    function has(row, name, value,   spellings, n, i, at, rest) {
        at = row
        while (match(at, "[^a-z0-9_]" name "[^a-z0-9_]")) {
            rest = substr(at, RSTART + RLENGTH - 1)
            if (value == "-") return 1
            n = split(value == "1x1" ? "1x1 1" : value == "1e-07" ? "1e-7" : value == "1e-10" ? "1e-10" : value, spellings, " ")
            for (i = 1; i <= n; i++)
                if (index(rest, " (" spellings[i] ")") == 1 || index(rest, " (the " spellings[i] ")") == 1 ||
                    index(rest, " (" spellings[i] ":") == 1 || index(rest, "=" spellings[i]) == 1) return 1
            at = substr(at, RSTART + 1)
        }
        return 0
    }
    FILENAME ~ /language/ { if (/^\|/) rows[++n] = $0; next }
    $3 == "-" { entries++; all = "" }
    {
        found = 0
        for (i = 1; i <= n; i++) {
            split(rows[i], cell, "|")
            plain = rows[i]
            gsub(/`/, "", plain)
            if ($1 == "optimizers" && cell[2] ~ ("`" $3 "`")) common[$3] = common[$3] || has(plain, $3, $4)
            if (cell[2] !~ ("`((optimizer|loss) )?" $2 "[`( ]")) continue
            found = 1
            if ($3 == "-" || rows[i] ~ /the same,|as `[a-z0-9_]+`|likewise/ || has(plain, $3, $4)) done[$1, $2, $3] = 1
        }
        if (!found && $3 == "-") print "no table has a row for " $2 " (" $1 ")"
        else if (found && !(($1, $2, $3) in done) && !common[$3]) print "the row of " $2 " has no " $3 ($4 == "-" ? "" : " (" $4 ")")
    }' "$TOP/docs/language.md" arguments >lacking
while read -r line; do fail "docs/language.md: $line"; done <lacking

# what the page says that there is not is what the compiler says so of
sed '1,/^## Not in this version/d' "$TOP/docs/language.md" | sed -n 's/^| `*[a-z]*`* | \(`.*`\) |$/\1/p' | tr -d '`' | tr ' ' '\n' | sort >found
sed -n '/^\/\* ---- not in this version/,$p' "$TOP/compiler/model/recipes.c" | grep -o '"[a-z0-9_]*"' | tr -d '"' | sort |
    diff found - >log || { fail "'Not in this version' of docs/language.md (<) is not what recipes.c has"; cat log; }

# ---- the limits of docs/language.md: each name of bounds.h beside its row and how the number is written there
limit() { # NAME ROW NUMBER
    value=$(sed -n "s/^ *$1 = \([^,]*\),.*/\1/p" "$TOP/compiler/base/bounds.h")
    [ -n "$value" ] && [ "$((value))" = "$((${3//2^/1<<}))" ] || fail "bounds.h has $1 = '$value', and the test $3"
    grep -F "| $2" "$TOP/docs/language.md" | grep -qE "[| ]${3//^/\\^}[ ,;|]" || fail "docs/language.md: the limit of '$2' is not $3"
    bounded="${bounded-} $1"
}
limit INCLUDES_MOST 'files included' 200
limit INCLUDES_DEEPEST 'files included' 20
limit NAME_LONGEST 'a name, that of a layer with those of the blocks around it |' 64
limit EXPRESSION_DEEPEST 'open brackets' 200
limit VALUE_DEEPEST 'constants that need' 1000
limit CONSTANTS_MOST 'constants, functions' 5000
limit FUNCTIONS_MOST 'constants, functions' 1000
limit LAYERS_MOST 'layers |' 2000
limit BLOCKS_MOST 'blocks; parameters' 1000
limit BLOCK_PARAMETERS_MOST 'blocks; parameters' 50
limit REPEATS_MOST 'rounds of a' 2000
limit BODIES_DEEPEST 'blocks, bodies' 500
limit EXPANDED_MOST 'statements of the network' 100000
limit JOINED_MOST 'results that all' 2000
limit STEPS_MOST 'steps in `data`' 100
limit CALLBACKS_MOST 'steps in `data`' 100
limit METRICS_MOST 'metrics |' 1000
limit FUNCTION_LOCALS_MOST 'values of a function' 500
limit FUNCTION_PARAMETERS_MOST 'values of a function' 50
limit FUNCTION_LARGEST 'a function with all' 20000
limit ACTIVATION_LARGEST 'the same of an activation' 500
limit ACTIVATIONS_LARGEST 'the same of an activation' 20000
limit LOSS_LARGEST 'the same of a loss' 100000
limit METRICS_LARGEST 'the metrics of one' 200000
limit CHANNELS_MOST 'channels, units' 2^20
limit UNITS_MOST 'channels, units' 2^24
limit EXTENT_MOST 'rows or columns of a map' 65536
limit WINDOW_MOST 'rows or columns of a map' 4096
limit ELEMENTS_MOST 'elements of a result' 2^30
limit BATCH_MOST 'a batch |' 65536

for name in $(sed -n 's/^ *\([A-Z_]*\) = .*/\1/p' "$TOP/compiler/base/bounds.h"); do
    case " $bounded SOURCE_LARGEST SELECTORS_MOST MESSAGES_KEPT MESSAGES_PRINTED SUGGESTIONS_MOST TABLE_LONGEST CLASSES_MOST " in
    *" $name "*) ;;
    *) fail "bounds.h has $name, and this test does not compare it with a row of docs/language.md" ;;
    esac
done

# ---- wrong use
expect 2 "$CNNC" --list "$TOP/models/resnet8.cnn"
expect 2 "$CNNC" --list --check
expect 2 "$CNNC" --json "$TOP/models/resnet8.cnn"
if [ -w /dev/full ]; then
    "$CNNC" --list >/dev/full 2>/dev/null && fail "a full disk goes unnoticed"
fi
finish
