#!/usr/bin/env bash
# What is no model (nothing, noise, a folder, what may not be read, a gigabyte in one line, thousands of anything, nested
# without end) is refused with one clear message first, within seconds of a processor and a gigabyte of
# memory.
. "$(dirname "$0")/../run/common.sh"

seconds=20
case ${CNNC_CFLAGS-} in
*sanitize*) memory=unlimited seconds=60 ;;     # a sanitizer reserves terabytes of addresses
*) memory=1000000 ;;
esac

# refused FILE TEXT: exit status 1 and not a signal or a limit, TEXT in the first message
refused() {
    (ulimit -v $memory && ulimit -t $seconds && exec "$CNNC" --check "$1") >out 2>err
    refused_status=$?
    [ "$refused_status" = 1 ] || fail "$1: exit status $refused_status: $(head -n 1 err | cut -c1-200)"
    head -n 1 err | grep -qF -- "$2" || fail "$1: no '$2' in: $(head -n 1 err | cut -c1-200)"
    [ -s out ] && fail "$1: something on standard output"
    [ "$(wc -c <err)" -lt 20000 ] || fail "$1: $(wc -c <err) bytes of messages"
}

# repeat COUNT TEXT: TEXT so many times, without a line end
repeat() {
    awk -v n="$1" -v text="$2" 'BEGIN { for (i = 0; i < n; i++) printf "%s", text }'
}

# ---- what is no text
: >empty.cnn
refused empty.cnn "the file has no 'network { ... }' [missing_section]"
printf '\n  # nothing but words\n\n' >words.cnn
refused words.cnn '[missing_section]'
printf '\357\273\277' >mark.cnn
refused mark.cnn '[missing_section]'
printf 'network {\0 }' >zero.cnn
refused zero.cnn 'zero.cnn is no text file: byte 9 is zero [binary_file]'
cp "$CNNC" program.cnn
refused program.cnn 'program.cnn'
head -c 100000 "$CNNC" >binary.cnn
refused binary.cnn 'it is a program [not_a_model]'
head -c 50000 /dev/urandom | tr -d '\0' >noise.cnn
refused noise.cnn 'noise.cnn'
LC_ALL=C grep -q "$(printf '[\001-\010\013-\037\177]')" err && fail "noise.cnn: control characters reach the terminal"
mkdir folder.cnn
refused folder.cnn 'cannot read folder.cnn: Is a directory [cannot_read]'
refused none.cnn 'cannot read none.cnn: No such file or directory [cannot_read]'
refused empty.cnn/inside.cnn 'Not a directory [cannot_read]'
echo 'network { input 3x8x8 }' >secret.cnn
chmod 000 secret.cnn
if [ -r secret.cnn ]; then                      # root reads everything; nobody does not
    chmod 755 . && cp "$CNNC" ./cnnc.copy 2>/dev/null
    setpriv --reuid 65534 --regid 65534 --clear-groups ./cnnc.copy --check secret.cnn >out 2>err
    unread=$?
    [ "$unread" = 127 ] && unread=
else
    "$CNNC" --check secret.cnn >out 2>err
    unread=$?
fi
if [ -n "$unread" ]; then
    [ "$unread" = 1 ] && grep -q 'cannot read secret.cnn: Permission denied \[cannot_read\]' err ||
        fail "a file that may not be read: $(head -n 1 err)"
fi
for device in /dev/zero /dev/full; do
    refused $device "cannot read $device: it is longer than 1 MiB, as no model is [cannot_read]"
done
# a gigabyte in one line, as a file (its blocks are not there) and letter by letter
printf 'network { input 3x8x8' >giant.cnn
truncate -s 1G giant.cnn
refused giant.cnn 'cannot read giant.cnn: it is longer than 1 MiB'
mkfifo letters.cnn
head -c 1073741824 /dev/zero 2>/dev/null | tr '\0' a 2>/dev/null >letters.cnn &
writer=$!
refused letters.cnn 'cannot read letters.cnn: it is longer than 1 MiB'
wait $writer 2>/dev/null
repeat 1048576 a >longest.cnn
refused longest.cnn 'this name has more than 64 characters [too_big]'

# ---- nested
{ printf 'network {\ninput 3x8x8\n'; repeat 20000 'add { branch { '; } >branches.cnn
refused branches.cnn branches.cnn
{ printf 'const a = '; repeat 100000 '('; printf 1; repeat 100000 ')'; } >brackets.cnn
refused brackets.cnn 'more than 200 brackets are open here [too_deep]'
while IFS='|' read -r name text; do
    { printf 'const a = '; repeat 40000 "$text"; printf '1\nnetwork { input 3x8x8 }\n'; } >"$name.cnn"
    refused "$name.cnn" '[too_deep]'
done <<'DEEP'
minus|- 
nots|not 
powers|2^
choices|if on then 1 else 
calls|floor(
sum|1 + 
DEEP
{ printf 'network { input 3x8x8\n'; repeat 20000 'if on { '; } >ifs.cnn
refused ifs.cnn '[too_deep]'
{ printf 'network { input 3x8x8\nif on { }'; repeat 20000 ' else if on { }'; printf '\n}\n'; } >elses.cnn
refused elses.cnn '[too_deep]'
{ seq 0 3000 | awk '{ printf "const a%d = a%d + 1\n", $1, $1 + 1 }'; echo 'const a3001 = 1'
    echo 'network { input 3x8x8; conv2d a0, 1x1 }'; } >chain.cnn
refused chain.cnn 'this is needed through more than 1000 steps [too_deep]'

# ---- thousands of anything
{ printf 'network {\ninput 3x8x8\n'; repeat 100000 'relu;'; printf '\n}\n'; } >layers.cnn
refused layers.cnn 'a network has at most 2000 layers [too_big]'
{ seq 6000 | sed 's/.*/const a& = 1/'; echo 'network { input 3x8x8 }'; } >constants.cnn
refused constants.cnn 'a file has at most 5000 constants [too_big]'
{ seq 1500 | sed 's/.*/metric m&(y, p) = sum(p)/'; echo 'network { input 3x8x8 }'; } >functions.cnn
refused functions.cnn 'a file has at most 1000 functions [too_big]'
{ echo 'metric m(y, p) {'; seq 600 | sed 's/.*/a& = sum(p)/'; printf 'return a1\n}\nnetwork { input 3x8x8 }\n'; } >locals.cnn
"$CNNC" --check locals.cnn 2>err
grep -q 'a function has at most 500 values \[too_big\]' err || fail "locals.cnn: $(head -n 1 err)"
{ repeat 250 'include "nothing.inc"
'; echo 'network { input 3x8x8 }'; } >includes.cnn
: >nothing.inc
refused includes.cnn 'too many files are included [bad_include]'
for i in $(seq 0 30); do echo "include \"deep$((i + 1)).cnn\"" >deep$i.cnn; done
echo "network { input 3x8x8 }" >>deep0.cnn
refused deep0.cnn 'too many files are included by one another [bad_include]'
{ printf 'network {\ninput 3x8x8\n'; repeat 100000 'rellu;'; printf '\n}\n'; } >wrong.cnn
refused wrong.cnn "no layer is called 'rellu' [unknown_layer]"
grep -q '^cnnc: too many errors: 99980 more not shown$' err || fail "wrong.cnn: $(tail -n 1 err)"
repeat 1000000 '$' >dollars.cnn
refused dollars.cnn "the character '\$' has no meaning here [stray_character]"
{ printf 'const a = ['; repeat 200000 '1,'; printf ']\n'; } >list.cnn
refused list.cnn '[missing_section]'
# nothing is said of pixels that arrive small, that batchnorm takes in, or that `scale 1` leaves as they are
quiet() {
    printf 'data { shapes classes=4; %s }\nnetwork { input 3x32x32; %s conv2d 4, 3x3, relu; flatten; dense 4, softmax }\n%s\n' \
        "$1" "$2" 'train { loss categorical_crossentropy; optimizer adam }' >quiet.cnn
    expect 0 "$CNNC" --check quiet.cnn
    [ -s err ] && fail "said of '$1': $(cat err)"
}
for steps in 'scale 1/255' 'scale 1' 'normalize auto' 'normalize mean=[125, 123, 114], std=[63, 62, 67]' \
    'scale 1/255; normalize mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]; scale 0.5'; do
    quiet "$steps" ''
done
quiet '' 'batchnorm; '
quiet '' 'maxpool2d 2x2; batchnorm relu; '
finish
