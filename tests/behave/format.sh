#!/usr/bin/env bash
# cnnc --format: what it does with files (their text is tested by format_cases.c, which is run here), and that the models
# and examples are formatted.
. "$(dirname "$0")/../run/common.sh"

# ---- every file of the tree, and random ones
find "$TOP/models" "$TOP/examples" "$TOP/tests/golden" -name '*.cnn' >files
ls "$TOP"/tests/fuzz/seeds/model.* "$TOP"/tests/fuzz/cases/model.* >>files 2>/dev/null
xargs "$BUILD/tests/unit/format_cases" 2000 <files >log || { fail "format_cases"; head -40 log; }
tail -n 1 log
[ "$(sed -n 's/.* and \([0-9]*\) others$/\1/p' log)" -ge 150 ] || fail "few files were formatted: $(tail -n 1 log)"

# ---- the model is the same one before and after
for file in "$TOP"/models/*.cnn "$TOP"/examples/*/*.cnn "$TOP"/tests/golden/models/*.cnn; do
    case $file in */golden/*) cp "${file%/*}"/*.cnn . 2>/dev/null ;; esac
    cp "$file" same.cnn                         # the name of a model that says none
    "$CNNC" --dump=model same.cnn >before 2>/dev/null || continue
    "$CNNC" --format -i same.cnn || fail "$file is not formatted"
    "$CNNC" --dump=model same.cnn >after 2>log || fail "$file, formatted, has errors: $(cat log)"
    cmp before after || fail "$file, formatted, is another model"
    compared=$((${compared:-0} + 1))
done
echo "$compared models compared"
[ "$compared" -ge 20 ] || fail "only $compared models were compared"

# ---- the models and the examples are formatted
for file in "$TOP"/models/*.cnn "$TOP"/models/*/*.cnn "$TOP"/examples/*/*.cnn; do
    [ -f "$file" ] || continue
    "$CNNC" --format "$file" >formatted 2>log || { fail "${file#"$TOP/"}: $(cat log)"; continue; }
    cmp -s "$file" formatted || { fail "${file#"$TOP/"} is not formatted: cnnc --format -i"; diff "$file" formatted | head; }
done

# ---- how it is called
messy='network{input 3x32x32;flatten # all
dense 10,softmax}'
clean='network {
    input 3x32x32
    flatten  # all
    dense 10, softmax
}'
printf '%s' "$messy" >messy.cnn
echo "$clean" >clean.cnn
expect 0 "$CNNC" --format messy.cnn
cmp out clean.cnn || fail "messy.cnn is formatted otherwise"
cmp messy.cnn <(printf '%s' "$messy") || fail "a file was changed without -i"
expect 0 "$CNNC" --format clean.cnn messy.cnn
cmp out <(cat clean.cnn clean.cnn) || fail "two files are printed otherwise"
expect 0 "$CNNC" --format - <messy.cnn
cmp out clean.cnn || fail "standard input (-) is formatted otherwise"
expect 0 "$CNNC" --format <messy.cnn
cmp out clean.cnn || fail "standard input is formatted otherwise"
expect 0 "$CNNC" --format=check clean.cnn
[ -s out ] && fail "check says something of a file that is formatted"
expect 1 "$CNNC" --format=check clean.cnn messy.cnn
[ "$(cat out)" = messy.cnn ] || fail "check says: $(cat out)"
cmp messy.cnn <(printf '%s' "$messy") || fail "check changed a file"

# in place: rights stay, links stay, what is formatted is not touched
printf '%s' "$messy" >placed.cnn
chmod 640 placed.cnn
ln -s placed.cnn link.cnn
touch -d '2001-02-03 04:05:06' clean.cnn
expect 0 "$CNNC" --format -i link.cnn clean.cnn
[ -s out ] && fail "-i prints something"
[ -L link.cnn ] && cmp placed.cnn <(echo "$clean") || fail "a file behind a link is not written in place"
[ "$(stat -c %a placed.cnn)" = 640 ] || fail "the rights of a file have changed"
[ "$(stat -c %Y clean.cnn)" = "$(date -d '2001-02-03 04:05:06' +%s)" ] || fail "a formatted file was written again"
[ "$(find . -name '.cnnc-*' | wc -l)" = 0 ] || fail "something is left"
# names are not looked at, a file that has none of the sections is formatted too
echo 'block  basic( n,s=1 ) {nonsense  n,stride = s}' >part.cnn
expect 0 "$CNNC" --format -i part.cnn
[ "$(cat part.cnn)" = 'block basic(n, s=1) { nonsense n, stride=s }' ] || fail "part.cnn: $(cat part.cnn)"

# CRLF, tabs, a mark of byte order, no last line end
printf '\xEF\xBB\xBFnetwork\t{\r\n\tinput 3x32x32 # \xC3\xA4\r\n\r\n\r\n\tflatten;;dense 10\r\n}' >crlf.cnn
printf 'network {\n    input 3x32x32  # \xC3\xA4\n\n    flatten\n    dense 10\n}\n' >wanted
expect 0 "$CNNC" --format -i crlf.cnn
cmp crlf.cnn wanted || fail "a file with CRLF: $(od -c crlf.cnn | head)"
: >empty.cnn
expect 0 "$CNNC" --format -i empty.cnn
[ -s empty.cnn ] && fail "an empty file is not empty any more"

# ---- errors leave all as it is, and the other files are formatted
printf 'network { input 3x32x32; conv2d 4,, 3x3 }' >wrong.cnn
cp wrong.cnn kept
printf '%s' "$messy" >messy.cnn
expect 1 "$CNNC" --format -i wrong.cnn absent.cnn messy.cnn
cmp wrong.cnn kept || fail "a file with errors was changed"
cmp messy.cnn <(echo "$clean") || fail "a file behind one with errors was not formatted"
grep -q '^wrong.cnn:1:.*\[syntax\]$' err && grep -q 'cannot read absent.cnn' err || fail "errors are not reported: $(cat err)"
expect 1 "$CNNC" --format wrong.cnn
[ -s out ] && fail "a file with errors is printed"
expect 1 "$CNNC" --format=check wrong.cnn
head -c 2000000 /dev/zero | tr '\0' '#' >long.cnn
expect 1 "$CNNC" --format -i long.cnn
# what would get longer than a file may be
{ for ((i = 0; i < 180; i++)); do printf 'add{'; done
  for ((i = 0; i < 2000; i++)); do echo relu; done
  for ((i = 0; i < 180; i++)); do printf '}'; done; } >deep.cnn
cp deep.cnn kept
expect 1 "$CNNC" --format -i deep.cnn
grep -q 'longer than 1 MiB' err || fail "a file that would be too long: $(cat err)"
cmp -s deep.cnn kept || fail "a file that would be too long was changed"
if [ "$(id -u)" -ne 0 ]; then
    printf '%s' "$messy" >locked.cnn
    chmod 444 locked.cnn
    expect 1 "$CNNC" --format -i locked.cnn
    cmp locked.cnn <(printf '%s' "$messy") || fail "a file that may not be written was written"
fi
mkdir folder
expect 1 "$CNNC" --format folder
# a full device
[ -w /dev/full ] && { "$CNNC" --format clean.cnn >/dev/full 2>err; [ $? = 1 ] || fail "a full device goes unnoticed"; }

# ---- wrong use
for wrong in '-i clean.cnn' '--format -i' '--format -i -' '--format=check -i clean.cnn' '--format=all clean.cnn' \
    '--format --check clean.cnn' '--format -o x.c clean.cnn' '--format --summary clean.cnn'; do
    # shellcheck disable=SC2086
    expect 2 "$CNNC" $wrong </dev/null
done
finish
