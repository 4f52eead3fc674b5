#!/usr/bin/env bash
# What cnnc writes over and what not: never a file that it has not made, whatever it is called; whole files or none,
# also when it is ended; and to what is no file.
. "$(dirname "$0")/../run/common.sh"
unset CNNC_WISDOM
ulimit -c 0

model() { # FILE NAME BATCH
    cat >"$1" <<CNN
model $2
data { shapes classes=10, train=20, val=10; scale 1/255 }
network { input 3x32x32; conv2d 4, 4x4, relu, stride=8; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch $3 }
CNN
}
model v.cnn v 8

# ---- the header bears the C file's name, and networks that were made otherwise know each other
expect 0 "$CNNC" v.cnn -o v8.c
expect 0 "$CNNC" --batch=64 v.cnn -o v64.c
[ -s v8.h ] && [ -s v64.h ] && [ ! -e v.h ] || fail "not v8.h and v64.h: $(echo ./*.h)"
grep -q '^#define V_BATCH 8$' v8.h && grep -q '^#define V_BATCH 64$' v64.h || fail "not each its own batch"
expect 0 "$CNNC" --name=large --batch=64 v.cnn -o large.c
flags="-std=gnu11 -O0 -march=native -I$TOP/runtime -I$TOP/runtime/vec -I. ${OPENBLAS_CFLAGS:-} ${CNNC_CFLAGS:-} -DCNN_NO_MAIN"
cat >two.c <<'C'
#include "v8.h"
#include "large.h"
#include "v8.h"
int numbers[V_BATCH == 8 && LARGE_BATCH == 64 ? 1 : -1];
const struct cnn_model *two[] = { &v_model, &large_model };
int main(void) { return two[0]->batch != V_BATCH || two[1]->batch != LARGE_BATCH || numbers[0]; }
C
printf '#include "v8.h"\n#include "v64.h"\n' >clash.c
# shellcheck disable=SC2086
if expect 0 "$CC" $flags -c two.c v8.c large.c; then
    nm v8.o large.o | sort >symbols
    grep -q ' R v_model$\| D v_model$' symbols && grep -q ' large_model$' symbols || fail "not the two names: $(grep model symbols)"
fi
# shellcheck disable=SC2086
expect 1 "$CC" $flags -fsyntax-only clash.c
grep -q 'two networks are called v here' err || fail "two headers of one name: $(head -n 3 err)"
cp v64.h kept.h && cp v8.h v64.h
# shellcheck disable=SC2086
expect 1 "$CC" $flags -fsyntax-only v64.c
grep -q 'v64.h is not the header that was made with this file' err || fail "a header of another file: $(head -n 3 err)"
cp kept.h v64.h

# ---- files that cnnc has not made
precious() { echo precious >"$1"; }
# refused STATUS FILE TEXT WORDS...: cnnc ends so, says so, and FILE is as it was
refused() {
    wanted=$1 file=$2 text=$3
    shift 3
    cp "$file" before
    expect "$wanted" "$CNNC" "$@"
    grep -qF -- "$text" err || fail "cnnc $*: not '$text' but: $(cat err)"
    cmp -s before "$file" || fail "cnnc $* has changed $file"
}
precious own.c
refused 1 own.c "own.c is there already and was not made by cnnc" v.cnn -o own.c
[ ! -e own.h ] || fail "a header was written beside a C file that was not"
precious v.c
refused 1 v.c "v.c is there already and was not made by cnnc" v.cnn
rm v.c
precious mine.h
refused 1 mine.h "the header of mine.c, mine.h is there already and was not made" v.cnn -o mine.c
[ ! -e mine.c ] || fail "a C file was written without its header"
precious mine.d
refused 1 mine.d "the depfile, mine.d is there already and was not made" v.cnn -o other.c -MF mine.d
cp v.cnn net.h && refused 2 net.h "the header of net.c, net.h would overwrite the model" net.h -o net.c
refused 2 v.cnn "-o ./../${scratch##*/}/v.cnn would overwrite the model" v.cnn -o "./../${scratch##*/}/v.cnn"
ln v.cnn hard.c && refused 2 v.cnn "-o hard.c would overwrite the model" v.cnn -o hard.c
ln -s v.cnn soft.c && refused 2 v.cnn "-o soft.c would overwrite the model" v.cnn -o soft.c
: >empty.cnn
{ echo 'include "empty.cnn"'; cat v.cnn; } >with.cnn
refused 2 empty.cnn "-o empty.cnn would overwrite a file that the model includes" with.cnn -o empty.cnn
refused 2 empty.cnn "the depfile, empty.cnn would overwrite a file that the model includes" with.cnn -o w.c -MF empty.cnn
printf 'cnnc-wisdom 1\n' >w.h
refused 2 w.h "the header of w.c, w.h would overwrite the wisdom" v.cnn --wisdom=w.h -o w.c
expect 2 "$CNNC" v.cnn -o one.c -MF one.c
grep -q 'one.c and one.c are one file' err && [ ! -e one.c ] || fail "one name for two outputs: $(cat err)"
expect 2 "$CNNC" v.cnn -o 'a"b.c'
[ -z "$(find . -name '.cnnc-*')" ] || fail "temporary files: $(find . -name '.cnnc-*')"

# ---- files that it has made, an empty one, and those of the first release
expect 0 "$CNNC" --batch=3 v.cnn -o v8.c -MD
expect 0 "$CNNC" v.cnn -o v8.c --depfile
[ -s v8.d ] || fail "no depfile"
: >new.c
expect 0 "$CNNC" v.cnn -o new.c
printf '/* old: a network compiled by cnnc 0.1.0 from v.cnn for x86-64-v3. Do not edit: change\n * the .cnn file.\n *\n' >old.c
printf '/* old_as_the_hills.h - the network of old_as_the_hills.c for programs of one'"'"'s\n * own: compile it */\n' >old.h
expect 0 "$CNNC" v.cnn -o old.c
printf '/* net.h, a header for programs of one'"'"'s own: hand-made */\n' >mine.h
refused 1 mine.h "was not made by cnnc" v.cnn -o mine.c

# ---- links stay links; what is no file is written to
mkdir elsewhere && ln -s elsewhere/real.c link.c && ln -s nowhere/at/all.c dangling.c
expect 0 "$CNNC" v.cnn -o link.c
[ -L link.c ] && [ -s elsewhere/real.c ] && [ -s link.h ] || fail "a link to a file that is not there yet: $(ls -l link.c)"
expect 0 "$CNNC" --batch=3 v.cnn -o link.c
[ -L link.c ] && grep -q 'batch = 3' elsewhere/real.c || fail "a link was replaced by a file"
expect 1 "$CNNC" v.cnn -o dangling.c
[ -L dangling.c ] || fail "a link that leads nowhere was replaced"
expect 1 "$CNNC" v.cnn -o elsewhere
grep -q 'cannot write elsewhere: Is a directory' err || fail "a folder: $(cat err)"
expect 0 "$CNNC" v.cnn -o -
cp out dash.c
grep -q '#include "' dash.c && fail "what goes to the standard output asks for a header"
# shellcheck disable=SC2086
expect 0 "$CC" $flags -fsyntax-only dash.c
echo before >appended
"$CNNC" v.cnn -o /dev/stdout >>appended 2>err || fail "/dev/stdout: $(cat err)"
{ echo before; cat dash.c; } | cmp - appended || fail "/dev/stdout is not what -o - is"
[ -L /dev/stdout ] || fail "/dev/stdout is no link any more"
"$CNNC" v.cnn -o /dev/stdout | cmp - dash.c || fail "/dev/stdout in a pipe"
mkfifo fifo && { cat fifo >through & }
expect 0 "$CNNC" v.cnn -o fifo
wait $!
cmp through dash.c && [ -p fifo ] || fail "a FIFO"
[ ! -e fifo.h ] || fail "a header beside a FIFO"
if [ -w /dev/full ]; then
    expect 1 "$CNNC" v.cnn -o /dev/full
    grep -q 'cannot write /dev/full: No space left' err || fail "/dev/full: $(cat err)"
    expect 2 "$CNNC" v.cnn -o /dev/full -MD
fi

# ---- a limit of file sizes, and an end in the middle, leave what was there and nothing else
rm -rf limits && mkdir limits
expect 0 "$CNNC" v.cnn -o limits/v.c
cp limits/v.c before.c && cp limits/v.h before.h
( ulimit -f 8; exec "$CNNC" --batch=5 v.cnn -o limits/v.c ) >out 2>err
[ $? -eq 1 ] && grep -q 'cannot write limits/v.c: File too large' err || fail "ulimit -f: $(cat err)"
cmp before.c limits/v.c && cmp before.h limits/v.h || fail "a file that may not grow has changed what was there"
case ${CNNC_CFLAGS:-} in *sanitize*) finish ;; esac      # what is preloaded comes before their library
$CC -shared -fPIC -O1 "$TOP/tests/behave/kill_at.c" -o kill_at.so -ldl || { fail "cannot build kill_at.c"; finish; }
for signal in INT TERM HUP QUIT XCPU KILL; do
    # whoever started the tests may have them ignore it, as nohup does, and a shell cannot change that
    ( sh -c "kill -s $signal \$\$" ) 2>/dev/null && { echo "SIG$signal is ignored here: not tried"; continue; }
    # at the first rename all temporary files are there
    KILL_AT=1 KILL_WITH=$(kill -l $signal) LD_PRELOAD=./kill_at.so "$CNNC" --batch=5 v.cnn -o limits/v.c \
        >out 2>err
    [ $? -eq $((128 + $(kill -l $signal))) ] || fail "SIG$signal does not end cnnc: $(cat err)"
    left=$(find limits -type f | sort | tr '\n' ' ')
    case $signal,$left in
    KILL,*.cnnc-*.cnnc-*) ;;                # the proof that there was something to remove
    KILL,*) fail "the signals come when there is nothing to remove: $left" ;;
    *) [ "$left" = "limits/v.c limits/v.h " ] || fail "SIG$signal leaves $left" ;;
    esac
    cmp before.c limits/v.c && cmp before.h limits/v.h || fail "SIG$signal has changed what was there"
done
finish
