#!/usr/bin/env bash
# The command cnnc: exit statuses, what it prints where, that it never touches its output when something is wrong,
# that what it writes is the same every time; and the rules of cnnc.mk.
. "$(dirname "$0")/../run/common.sh"

cat >good.cnn <<'CNN'
model good
const width = 8
data { shapes classes=10, train=100, val=20, seed=0; scale 1/255 }
network { input 3x32x32; conv2d width, 3x3, relu, padding=1x1, dilation=1x2; maxpool2d 2x2; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 10; seed 1 }
CNN
sed 's/relu/rellu/; s/dense 10/dense 0/' good.cnn >bad.cnn
printf 'model bare\nnetwork { input 3x8x8; conv2d 4, 3x3; flatten; dense 5, softmax }\n' >bare.cnn

# ---- right use: 0, and nothing on stderr
mkdir again absolute
for options in --help --version --print-makefile "--check good.cnn" "--summary good.cnn" "--explain good.cnn" \
    "--dump=ast good.cnn" "--dump=graph good.cnn" "--dump=plan good.cnn" \
    "--check bare.cnn" "--summary bare.cnn" "--graph=svg bare.cnn" "--graph=dot bare.cnn" "good.cnn -o good.c" "-o again/good.c good.cnn"; do
    # shellcheck disable=SC2086
    expect 0 "$CNNC" $options
    [ -s err ] && fail "cnnc $options writes to stderr: $(head -n 1 err)"
    case $options in
    *-o* | --check*) ;;
    *) [ -s out ] || fail "cnnc $options prints nothing" ;;
    esac
done
"$CNNC" --help | grep -q '^Usage: ' || fail "--help does not begin with Usage"
"$CNNC" --version | head -n 1 | grep -q '^cnnc .*[0-9]\.[0-9]' || fail "--version does not say cnnc and a number"
for option in --check --summary --graph --dump --explain --print-makefile --target --kernel --real --help --version -o -D; do
    "$CNNC" --help | grep -q -- "$option" || fail "--help does not name $option"
done

# ---- wrong use: 2, and a word about --help
for options in "" "--nonsense" "--dump=nonsense good.cnn" "--graph=png good.cnn" "--graph=svg good.cnn -o x.svg" \
    "--batch-per-rank=0 good.cnn -o x.c" "--batch-per-rank=half good.cnn -o x.c" "--target=nonsense good.cnn -o x.c" "good.cnn -o" \
    "good.cnn bare.cnn -o x.c" "--real=half good.cnn -o x.c" "-D 9=3 good.cnn -o x.c" \
    "--batch=0 good.cnn -o x.c" "--batch=65537 good.cnn -o x.c" "--batch=1x good.cnn -o x.c" "--batch good.cnn -o x.c" \
    "--batch=-1 good.cnn -o x.c" "--batch=1 --emit=inference --weights=w good.cnn -o x.c" \
    "--target=generic --emit=inference --weights=w good.cnn -o x.c" "--exact --emit=inference --weights=w good.cnn -o x.c"; do
    # shellcheck disable=SC2086
    expect 2 "$CNNC" $options
    [ -s err ] || fail "cnnc $options says nothing on stderr"
    [ -s out ] && fail "cnnc $options prints to stdout: $(head -n 1 out)"
done

# ---- errors in the model or its files: 1, and the output stays as it was
echo "precious" >kept.c
for options in "bad.cnn -o kept.c" "nowhere.cnn -o kept.c" "-D nonsense=3 good.cnn -o kept.c" \
    "--kernel=conv2d_1=nonsense good.cnn -o kept.c" "--kernel=nonsense=direct good.cnn -o kept.c" \
    "bare.cnn -o kept.c" ". -o kept.c" "-D width=0.5 good.cnn -o kept.c"; do
    # shellcheck disable=SC2086
    expect 1 "$CNNC" $options
    [ "$(cat kept.c)" = precious ] || fail "cnnc $options has touched its output"
    echo "precious" >kept.c
    [ -s err ] || fail "cnnc $options says nothing on stderr"
done
expect 1 "$CNNC" bad.cnn -o new.c
[ -e new.c ] && fail "an output was made in spite of errors"
[ "$(grep -c '^bad.cnn:[0-9]*:[0-9]*: error: ' err)" -ge 2 ] || fail "two errors, but not two messages with their places"
mkdir -p locked
expect 1 "$CNNC" good.cnn -o nowhere/new.c
expect 1 "$CNNC" good.cnn -o locked
[ -d locked ] || fail "a folder was replaced by the output"
[ -n "$(find . -name '*.tmp*')" ] && fail "temporary files stay behind: $(find . -name '*.tmp*')"
if [ -w /dev/full ]; then
    "$CNNC" --summary good.cnn >/dev/full 2>err && fail "a full disk goes unnoticed by --summary"
fi

# ---- the same input, the same output; no folder of this machine in it
cmp good.c again/good.c && cmp good.h again/good.h || fail "two compilations differ"
mkdir -p elsewhere
(cd elsewhere && "$CNNC" ../good.cnn -o good.c) || fail "cannot compile from another folder"
cmp good.c elsewhere/good.c || fail "the folder that cnnc runs in shows in the output"
"$CNNC" "$PWD/good.cnn" -o absolute/good.c && cmp good.c absolute/good.c || fail "the folder of the model shows in the output"
for stage in ast graph plan; do
    "$CNNC" --dump=$stage good.cnn >one && "$CNNC" --dump=$stage good.cnn >two
    cmp one two || fail "two dumps of $stage differ"
done
"$CNNC" good.cnn -o crlf1.c && sed 's/$/\r/' good.cnn >crlf.cnn && mkdir -p crlf && cp crlf.cnn crlf/good.cnn &&
    "$CNNC" crlf/good.cnn -o crlf.c || fail "line ends with CR are not taken"

# ---- the explained recipe is a model itself, and means the same
mkdir -p explained
"$CNNC" --explain good.cnn >explained/good.cnn
expect 0 "$CNNC" --check explained/good.cnn
"$CNNC" --explain explained/good.cnn >explained/again.cnn
diff explained/good.cnn explained/again.cnn || fail "explaining the explained recipe changes it"

# ---- -D
"$CNNC" --summary good.cnn >small && "$CNNC" --summary -D width=16 good.cnn >large
cmp -s small large && fail "-D width=16 changes nothing"

# ---- --batch goes before the recipe, in what is explained too
"$CNNC" --explain --batch=3 good.cnn >explained/batch.cnn
grep -qx '    batch 3' explained/batch.cnn || fail "--batch=3 does not show in --explain: $(grep batch explained/batch.cnn)"
expect 0 "$CNNC" --batch=3 good.cnn -o three.c
expect 0 "$CNNC" explained/batch.cnn -o explained/three.c
for file in three.c explained/three.c; do
    tr '\n' ' ' <$file | grep -q 'A batch has up to 3 *\(\* \)*samples' || fail "$file is not for batches of 3"
done

# ---- every model of the zoo is sound, with the parameters it is known for
while read -r model count; do
    expect 0 "$CNNC" --summary "$TOP/models/$model.cnn"
    tr -d ',' <out | grep -qw "$count" || fail "$model has not $count parameters"
done <<'ZOO'
cifar10_relu 5329418
cifar10_elu 5329418
cifar10_elu_f1 5329418
mnist_lenet5 61706
resnet8 78666
cifar10_fast 1973944
shapes_autoencoder 868608
ZOO
for model in "$TOP"/models/*.cnn; do
    expect 0 "$CNNC" --check "$model"
done

# ---- cnnc.mk
makefile=$("$CNNC" --print-makefile)
[ -f "$makefile" ] || fail "--print-makefile names a file that is not there: $makefile"
mkdir -p user && cp good.cnn user/ && cd user || exit 99
printf 'include %s\nhello: hello.c\n' "$makefile" >Makefile
printf 'int main(void) { return 0; }\n' >hello.c
# shellcheck disable=SC2086
if expect 0 "$MAKE" CC="$CC" good; then
    [ -x good ] || fail "make made no trainer"
    [ -f good.c ] || fail "make removed the C file"
    expect 0 "$MAKE" -q CC="$CC" good
    expect 0 ./good --help
    # wrong use: status 2, the option or word is named, what was expected is said, and nothing is made
    while IFS='|' read -r words text; do
        # shellcheck disable=SC2086
        eval "expect 2 ./good $words" || continue
        grep -qF -- "$text" err || fail "good $words does not say '$text': $(head -n 2 err)"
        grep -q "Try './good --help'" err || fail "good $words does not point to --help"
        [ -s out ] && fail "good $words prints to the standard output"
    done <<'WRONG'
--nonsense|'--nonsense'
nonsense|no command 'nonsense'
nonsense|train, evaluate, predict, preview, summary, bench, lr-range, gradcheck
''|no command ''
help|The commands are
train evaluate|train takes no further word: 'evaluate'
summary x|'x'
predict|needs a picture
-e 3|'-e'
--epochs|'--epochs' requires an argument
--epochs ten|--epochs 'ten': expected a number from 0 to 1000000
--epochs 2.5x|'2.5x'
--epochs -1|'-1'
--epochs 99999999999999999999|from 0 to 1000000
--s 1|ambiguous
--seed -1|expected a whole number from 0
--seed 0x|'0x'
--threads 0|from 1 to 4096
--verbose 3|from 0 to 2
--limit-steps 0|from 1
--lr 0|--lr '0': expected a number above 0
--lr nan|'nan'
--lr inf|'inf'
--save-every -1|expected a number, 0 or more
--run-dir ''|--run-dir '': expected the name of a folder
--weights ''|--weights '': expected the name of a file
--resume=yes|doesn't allow an argument
--top 3|It is an option of predict.
evaluate --epochs 3|--epochs means nothing to evaluate
evaluate --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --threads 1 --epochs 3|means nothing
predict --steps 3 x.png|--steps means nothing to predict
bench --steps 0|from 1 to 1000000
WRONG
    [ -e good.run ] && fail "wrong use leaves a run folder"
    expect 0 ./good -h && cp out long && expect 0 ./good --help && cmp out long
    expect 0 ./good -V
    grep -q '^good, compiled for' out || fail "-V is not --version"
    expect 0 ./good summary
    awk '/^Layer / { column = index($0, "Result"); next } /^===/ { column = 0 }
         column && !/^---/ && substr($0, column - 1, 2) !~ /^ [0-9]/ { print; exit 1 }' out ||
        fail "the columns of the summary are not below each other"
    expect 0 ./good bench --steps 2 --threads 1
    awk '/^layer / { width = length($0) } width && length($0) != width { print; exit 1 }' out ||
        fail "the columns of bench are not below each other"
    expect 0 ./good --epochs 1 --threads 1
    grep -q '^Epoch 1/1$' out || fail "the log has no line 'Epoch 1/1'"
    [ -d good.run ] || fail "no folder good.run"
    expect 2 ./good --epochs 1 --threads 1
    expect 0 ./good --epochs 1 --threads 1 --overwrite
    expect 0 ./good evaluate
    expect 0 ./good --resume --epochs 1
    grep -q 'has had its 1 epoch:' err || fail "a run that has nothing left to do does not say so"
    expect 0 ./good evaluate --data .
    grep -q 'shapes needs no files' err || fail "--data is passed over in silence"
    sleep 1
    touch good.cnn
    "$MAKE" -q CC="$CC" good && fail "make does not see that the model has changed"
fi
expect 0 "$MAKE" CC="$CC" hello
finish
