#!/usr/bin/env bash
# The rules of cnnc.mk: what is made from what, and that everything that changes is made anew and nothing else is.  What
# make does is read from what it prints.  The C compiler is a script here, but where a trainer is run.
. "$(dirname "$0")/../run/common.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CNNC_TARGET CNNC_FLAGS CNNC_WISDOM CNNC_RUNTIME CFLAGS
real_cnnc=$CNNC real_cc=$CC
unset CNNC CC
mkdir bin
cat >bin/fake <<'SH'
#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" = -o ] && printf '#!/bin/sh\n' >"$2" && chmod +x "$2"; shift; done
SH
chmod +x bin/fake
CC=$scratch/bin/fake
export CC

model() { # FILE WIDTH
    cat >"$1" <<CNN
const width = $2
const samples = 8
data { shapes classes=10, train=20, val=10; scale 1/255 }
network { input 3x32x32; conv2d width, 4x4, relu, stride=8; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch samples }
CNN
}

# makes WANTED WHY MAKE'S WORDS...: what is made, "c" by cnnc and "link" by the compiler, in that order.
makes() {
    wanted=$1 why=$2
    shift 2
    "$MAKE" -f "$CNNC_MK" "$@" >out 2>err
    status=$?
    made=$(sed -n -e 's/^.*cnnc --target=.* -o .*/c/p' -e 's/^.* -std=gnu11 .* -o .*/link/p' out | tr '\n' ' ')
    [ "$status" -eq 0 ] && [ "${made% }" = "$wanted" ] && return
    fail "$why: made '${made% }' instead of '$wanted', status $status"
    sed 's/^/    /' out err | cut -c1-200 | head -8
}
# Files of one moment are of one age; what changes must be younger.
later() { touch -d "+$1 seconds" "${@:2}"; }

# ---- from the model
mkdir from_model && cd from_model || exit 99
model net.cnn 4
makes "c link" "a new model" net
makes "" "nothing has changed" net
expect 0 "$MAKE" -q -f "$CNNC_MK" net
for made in net net.c net.h; do
    [ -s $made ] || fail "there is no $made"
done
makes "c link" "another -D" net CNNC_FLAGS="-D width=5"
grep -q 'conv2d 5, 4x4' net.c || fail "-D has not come to the network"
makes "" "the same -D" net CNNC_FLAGS="-D width=5"
makes "c link" "no -D any more" net
for option in --batch=3 --real=double --exact "--kernel=conv2d_1=direct"; do
    makes "c link" "$option" net CNNC_FLAGS="$option"
    makes "" "$option again" net CNNC_FLAGS="$option"
done
makes "c link" "no option any more" net
makes "c link" "another target" net CNNC_TARGET=generic
grep -q -- '-march' out && fail "flags of a machine for the generic target: $(cat out)"
makes "" "the same target" net CNNC_TARGET=generic
makes "c link" "no target any more" net
makes link "other flags" net CNNC_CFLAGS=-g
makes "" "the same flags" net CNNC_CFLAGS=-g
makes link "other libraries" net CNNC_CFLAGS=-g CNNC_LIBS=-lm
makes link "neither any more" net
cp ../bin/fake ../bin/other
makes link "another compiler" net CC="$scratch/bin/other"
makes link "the compiler of before" net
cp "$real_cnnc" ../bin/cnnc
makes "c link" "another cnnc" net CNNC="$scratch/bin/cnnc"
makes "" "the same cnnc" net CNNC="$scratch/bin/cnnc"
later 5 ../bin/cnnc
makes "c link" "a newer cnnc" net CNNC="$scratch/bin/cnnc"
touch ../bin/cnnc
makes "c link" "the one in the PATH" net CNNC=cnnc PATH="$scratch/bin:$PATH"
makes "c link" "cnnc as it comes" net
makes "c link" "an environment with wisdom" net CNNC_FLAGS=--exact CNNC_WISDOM=
makes "c link" "no option any more" net
later 10 net.cnn
makes "c link" "a changed model" net
touch net.cnn net.c net.h net
makes "c link" "everything, where it is asked for" -B net
rm net.h net.c
makes "c link" "files that are missing" net
later 20 net.c
makes link "a C file that was edited" net
touch net.c net

# ---- a failure is not taken for a success
expect 2 "$MAKE" -f "$CNNC_MK" net CNNC_FLAGS="-D width=0.5"
makes "c link" "after a failure with other options" net CNNC_FLAGS="-D width=6"
expect 2 "$MAKE" -f "$CNNC_MK" net CNNC_FLAGS="-D width=6" CC=false CNNC_CFLAGS=-O1
makes link "after a compiler that failed" net CNNC_FLAGS="-D width=6"
makes "" "after that" net CNNC_FLAGS="-D width=6"

# ---- options of a target of its own, in a Makefile; folders below; nothing that a plain make would make
mkdir sub
model sub/deep.cnn 4
model wide.cnn 4
printf 'include %s\nall: net wide sub/deep\nwide: CNNC_FLAGS = -D width=9\n' "$CNNC_MK" >Makefile
plain=$CNNC_MK
CNNC_MK=Makefile
makes "c link c link c link" "a Makefile" 
makes "" "the Makefile again" all
grep -q 'conv2d 9, 4x4' wide.c || fail "an option of one target has not come to it"
grep -q 'conv2d 9, 4x4' net.c && fail "an option of one target has come to another"
for made in .deep.cnnc.d .deep.cnnc.how .deep.cnnc.link deep.c deep.h deep; do
    [ -s sub/$made ] || fail "there is no sub/$made"
done
later 5 sub/deep.cnn
makes "c link" "a model in a folder" all
CNNC_MK=$plain
printf 'include %s\n' "$CNNC_MK" >Makefile
"$MAKE" >out 2>err
grep -q 'No targets' err || fail "a Makefile of one line makes something by itself: $(cat out err)"

# ---- files that a model includes
printf 'const width = 4\n' >parts.cnn
{ echo 'include "parts.cnn"'; model /dev/stdout 4 | sed 1d; } >inc.cnn
makes "c link" "a model with an included file" inc
makes "" "nothing has changed there" inc
echo 'const width = 7' >parts.cnn
later 5 parts.cnn
makes "c link" "a change in an included file" inc
grep -q 'conv2d 7, 4x4' inc.c || fail "the change has not come to the network"
touch -d '+6 seconds' inc.c inc.h && touch -d '+7 seconds' inc
makes "" "nothing has changed since" inc
mv parts.cnn others.cnn
sed 's/parts/others/' inc.cnn >changed && mv changed inc.cnn
later 10 inc.cnn
makes "c link" "an included file with another name" inc
grep -q others .inc.cnnc.d && ! grep -q parts .inc.cnnc.d || fail "the depfile is of before: $(cat .inc.cnnc.d)"

# ---- C files alone: those of cnnc's, with the flags of their targets, and no others
cd "$scratch" && mkdir alone models && cd alone || exit 99
model ../models/m.cnn 4
expect 0 "$real_cnnc" ../models/m.cnn -o m.c
makes link "a C file without its model" m
makes "" "the same again" m
makes link "other flags for it" m CNNC_CFLAGS=-g
expect 0 "$real_cnnc" --target=generic ../models/m.cnn -o plain.c
makes link "one for the generic target" plain
grep -q -- '-march' out && fail "flags of a machine for the generic target: $(cat out)"
expect 0 "$real_cnnc" --target=x86-64-v2 ../models/m.cnn -o old.c
makes link "one for x86-64-v2" old
grep -q -- ' -march=x86-64-v2 ' out || fail "not the flags of its target: $(cat out)"
expect 2 "$MAKE" -f "$CNNC_MK" -B old CNNC_TARGET=generic
grep -q 'old.c was made for the target x86-64-v2' err || fail "another target goes unnoticed: $(cat err)"
expect 0 "$real_cnnc" --real=double ../models/m.cnn -o m_double.c
makes link "one in double precision" m_double
# what was made by hand is not made by other options because there is a model, too
model m.cnn 4
touch -d '-1 hour' m.cnn
expect 0 "$real_cnnc" -D width=11 m.cnn -o m.c
makes link "made by hand, with options" m
grep -q 'conv2d 11, 4x4' m.c || fail "a C file that was made by hand has been made otherwise"
later 30 m.cnn
makes "c link" "its model has changed" m
printf 'int main(void) { return 0; }\n' >hello.c
printf 'hello.o: hello.c\n' >hello.d
expect 0 "$MAKE" -f "$CNNC_MK" hello
grep -q -- '-std=gnu11' out && fail "a program of the user's is made as if it were cnnc's: $(cat out)"
[ ! -e .hello.cnnc.link ] || fail "notes beside a program of the user's"

# ---- names with spaces: it works, or it is said why not
mkdir "a folder" && cp ../models/m.cnn "a folder/" && cp ../models/m.cnn "my model.cnn"
expect 0 "$real_cnnc" "a folder/m.cnn" -MD -o spaced.c
grep -qxF '  a\ folder/m.cnn' spaced.d || fail "a space in a depfile: $(cat spaced.d)"
makes link "a model in a folder with a space" spaced
expect 2 "$MAKE" -f "$CNNC_MK" "my model"
grep -q "make cannot make 'my model': it takes the space" err || fail "a model with a space: $(cat err)"
cd "a folder" || exit 99
makes "c link" "a working directory with a space" m
makes "" "the same again" m
cd "$scratch" && mkdir "sp ace" && cp "$CNNC_MK" "sp ace/cnnc.mk"
expect 1 env CNNC_MAKEFILE="$scratch/sp ace/cnnc.mk" "$real_cnnc" --print-makefile
grep -q 'make cannot work with the space in this name' err && [ ! -s out ] || fail "a prefix with a space: $(cat out err)"
expect 2 "$MAKE" -f "$scratch/sp ace/cnnc.mk" m
grep -q 'below a folder with a space in its name' err || fail "cnnc.mk below a space: $(cat err)"

# ---- in earnest: what gradcheck advises, as it says it
export CC=$real_cc CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}"
mkdir earnest && cd earnest || exit 99
model net.cnn 4
PATH=$(dirname "$real_cnnc"):$PATH
build net && expect 2 ./net gradcheck
advice=$(sed -n 's/.*`\(cnnc [^`]*\)`.*/\1/p' err)
[ -n "$advice" ] || fail "gradcheck advises nothing: $(cat err)"
expect 0 bash -c "set -e; $advice" && expect 0 ./net_double gradcheck --samples 1
finish
