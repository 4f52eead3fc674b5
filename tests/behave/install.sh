#!/usr/bin/env bash
# make install, and a project of a user's own that has nothing but what was installed: by make's rules and by
# pkg-config, with the static and the shared runtime, where it was installed and moved elsewhere; then uninstall.
. "$(dirname "$0")/../run/common.sh"

# What the test itself runs under is no part of the user's world.
outer_top=$TOP outer_build=$BUILD
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CNNC CNNC_MK CNNC_MAKEFILE TOP BUILD PKG_CONFIG_PATH
export OMP_NUM_THREADS=1
flags="-O1 -Wall -Wextra -Werror ${CNNC_CFLAGS:-}"
shared=
[ -e "$outer_build/.libs/libcnnrt.so" ] && shared=yes

# folders PREFIX: what configure may have been told otherwise, into $folders.
folders() {
    folders=(prefix="$1" exec_prefix="$1" bindir="$1/bin" libdir="$1/lib" includedir="$1/include" datarootdir="$1/share"
        datadir="$1/share" mandir="$1/share/man" docdir="$1/share/doc/cnnc")
}

# install_into FOLDER VARIABLE...: FOLDER is where it must come to be.
install_into() {
    folder=$1
    shift
    "$MAKE" -s -C "$outer_build" install "$@" >make.log 2>&1 && [ -d "$folder" ] && return 0
    fail "make install $*"
    sed 's/^/    /' make.log | tail -20
    finish
}

# Files and links, and folders that bear our name: none of them may be left by uninstall.
ours() {
    (cd "$1" && find . \( ! -type d -o -name 'cnnc*' \) | sort)
}

# ---- with a prefix of its own
here=$scratch/opt
folders "$here"
install_into "$here" "${folders[@]}"
for file in bin/cnnc share/cnnc/cnnc.mk share/cnnc/models/shapes_small.cnn include/cnnc/cnnrt.h \
    share/man/man1/cnnc.1 share/man/man5/cnn.5 share/man/man7/cnnc-trainer.7 share/doc/cnnc/LICENSE; do
    [ -s "$here/$file" ] || fail "not installed: $file"
done
library=$here/lib
# every link of the installed pages leads to something
(cd "$here/share/doc/cnnc" && find . -name '*.md' | while read -r page; do
    grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -v '^[a-z]*:' | while read -r link; do
        [ -e "$(dirname "$page")/$link" ] || echo "$page: $link"
    done
done) >broken
[ -s broken ] && fail "links of installed pages lead nowhere: $(tr '\n' ';' <broken)"
[ -s "$here/share/doc/cnnc/examples/embed/classify.c" ] && [ -x "$here/share/doc/cnnc/examples/cifar10/download.sh" ] ||
    fail "the examples are not installed"
[ -L "$here/share/doc/cnnc/models" ] || fail "no link to the models"
[ -s "$library/pkgconfig/cnnrt.pc" ] || fail "no cnnrt.pc in $library/pkgconfig"
grep -rIl -e "$outer_top" -e "$outer_build" "$here" >traces && fail "installed files name the source tree: $(cat traces)"
for model in "$outer_top"/models/*.cnn; do
    [ -s "$here/share/cnnc/models/${model##*/}" ] || fail "${model##*/} is not installed"
done
if [ -n "$shared" ] && command -v nm >/dev/null; then
    grep -v '^#' "$outer_top/tests/behave/symbols.txt" | sort >allowed
    nm -D --defined-only "$library/libcnnrt.so" | awk '$2 ~ /[A-Z]/ { print $3 }' | sort >exported
    diff allowed exported || fail "the installed libcnnrt.so exports something else than its interface"
fi

# ---- a user's project, away from the tree, with a Makefile of one line
write_project() {
    mkdir -p "$1" && cd "$1" || exit 99
    cat >first.cnn <<'CNN'
model first
data { shapes classes=10, train=200, val=40, seed=0; scale 1/255 }
network { input 3x32x32; conv2d 8, 3x3, relu, stride=2; maxpool2d 2x2; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 20; seed 1 }
CNN
    cat >own.c <<'C'
#include <stdio.h>
#include "first.h"

int main(int argc, char **argv)
{
    static float picture[FIRST_IN_CHANNELS * FIRST_IN_HEIGHT * FIRST_IN_WIDTH];
    struct cnn_context *c = cnn_open(&first_model, 0, 0);

    if (argc != 2 || !c || cnn_load_weights(c, argv[1]))
        return 1;
    cnn_input_set(c, 0, picture);
    first_model.infer(c, 1);
    for (int k = 0; k < FIRST_CLASSES; k++)
        printf("%.9g\n", (double)((const float *)c->predictions)[k]);
    printf("%s\n", cnn_version());
    cnn_close(c);
    return 0;
}
C
}

# train FOLDER NAME...: makes and runs the trainer of ./first.cnn; its weights become NAME.safetensors.
train() {
    name=$1
    shift
    rm -f first
    expect 0 "$MAKE" "$@" CC="$CC" CNNC_CFLAGS="$flags" first || return 1
    grep -q -e "$outer_top" -e "$outer_build" out && fail "the project is built with parts of the source tree: $(cat out)"
    expect 0 ./first --limit-steps 4 --verbose 2 --overwrite
    grep -q '^Test accuracy: ' out || fail "the trainer prints no accuracy"
    cp first.run/last.safetensors "$name.safetensors"
}

write_project "$scratch/project"
old_path=$PATH
PATH=$here/bin:$PATH
# shellcheck disable=SC2016
echo 'include $(shell cnnc --print-makefile)' >Makefile
train static || finish
./first --version | grep -q "the cnnc runtime $(cnnc --version | sed -n '1s/cnnc //p')\$" || fail "the trainer's version is not cnnc's"
expect 0 ./first evaluate
if [ -n "$shared" ]; then
    if train shared CNNC_RUNTIME=shared; then
        cmp static.safetensors shared.safetensors || fail "the shared runtime trains otherwise than the static one"
        if command -v ldd >/dev/null; then
            ldd ./first | grep -q "libcnnrt.so.0 => $library/" || fail "not linked with the installed library: $(ldd ./first)"
        fi
    fi
fi
expect 2 "$MAKE" -B first CNNC_RUNTIME=nonsense
grep -q "CNNC_RUNTIME is 'nonsense'" err || fail "a wrong CNNC_RUNTIME goes unnoticed: $(cat err)"
expect 0 "$MAKE" -n shapes_small

# ---- the same through pkg-config, and a main of the user's own
if command -v pkg-config >/dev/null; then
    PKG_CONFIG_PATH=$library/pkgconfig
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2016
    echo 'include $(shell pkg-config --variable=makefile cnnrt)' >Makefile
    train by_pkg_config && { cmp static.safetensors by_pkg_config.safetensors || fail "two builds train otherwise"; }
    [ "$(pkg-config --modversion cnnrt)" = "$(cnnc --version | sed -n '1s/cnnc //p')" ] || fail "pkg-config has another version"
    cflags="$(pkg-config --cflags cnnrt) $(pkg-config --variable=native_cflags cnnrt) $flags"
    # shellcheck disable=SC2086
    expect 0 $CC $cflags -DCNN_NO_MAIN own.c first.c -o own $(pkg-config --libs cnnrt)
    expect 0 env LD_LIBRARY_PATH="$library" ./own static.safetensors
    [ "$(wc -l <out)" -eq 11 ] || fail "the program prints no eleven lines: $(cat out)"
    cp out own.out
    if [ -n "$shared" ] && [ -e "$library/libcnnrt.a" ]; then
        # shellcheck disable=SC2046,SC2086
        expect 0 $CC $cflags -DCNN_NO_MAIN own.c first.c -o own_static \
            $(pkg-config --static --libs cnnrt | sed 's/-lcnnrt/-l:libcnnrt.a/')
        expect 0 ./own_static static.safetensors
        cmp out own.out || fail "the static library answers otherwise"
    fi
    unset PKG_CONFIG_PATH
else
    echo "no pkg-config: left out"
fi

# ---- uninstall leaves nothing
cd "$scratch" || exit 99
expect 0 "$MAKE" -s -C "$outer_build" uninstall "${folders[@]}"
ours "$here" >left
[ -s left ] && fail "uninstall leaves behind: $(cat left)"

# ---- staged with DESTDIR, and the tree moved as a whole
stage=$scratch/stage
folders /nowhere/at/all
install_into "$stage" DESTDIR="$stage" "${folders[@]}"
[ -e /nowhere/at/all ] && fail "DESTDIR is not heeded"
cp -R "$stage/nowhere/at/all" "$scratch/moved"
expect 0 "$MAKE" -s -C "$outer_build" uninstall DESTDIR="$stage" "${folders[@]}"
ours "$stage" >left
[ -s left ] && fail "uninstall with DESTDIR leaves behind: $(cat left)"
PATH=$scratch/moved/bin:$old_path
cd project || exit 99
# shellcheck disable=SC2016
echo 'include $(shell cnnc --print-makefile)' >Makefile
[ "$(cnnc --print-makefile)" = "$scratch/moved/share/cnnc/cnnc.mk" ] ||
    fail "a moved cnnc looks for its makefile in $(cnnc --print-makefile)"
if command -v pkg-config >/dev/null; then
    PKG_CONFIG_PATH=$scratch/moved/lib/pkgconfig pkg-config --cflags --libs cnnrt >flags
    grep -q -e /nowhere flags && fail "pkg-config names the place that a moved tree was made for: $(cat flags)"
    for flag in $(grep -oE -e '-[IL][^ ]*/moved[^ ]*' flags); do
        [ -d "${flag#-?}" ] || fail "pkg-config names a folder that is not there: $flag"
    done
    [ "$(grep -oE -e '-[IL][^ ]*/moved' flags | wc -l)" -eq 2 ] || fail "pkg-config does not find a moved tree: $(cat flags)"
    [ -r "$(PKG_CONFIG_PATH=$scratch/moved/lib/pkgconfig pkg-config --variable=makefile cnnrt)" ] ||
        fail "pkg-config does not find a moved cnnc.mk"
fi
[ -e "$scratch/moved/share/doc/cnnc/models/shapes_small.cnn" ] || fail "a moved link leads to no models"
train moved && { cmp static.safetensors moved.safetensors || fail "what was moved trains otherwise"; }
finish
