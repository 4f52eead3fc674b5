# cases.sh - for tests of networks that are built by hand: their C beside a program that compares what it computes
# (tests/unit/concat_check.c).  Sourced after common.sh.
cat >flags.mk <<'MK'
include $(CNNC_MK)
cflags: ; @echo $(call cnnc_cflags_for,$(TARGET)) $(CNNC_CFLAGS)
libs: ; @echo $(cnnc_libs)
MK
# A make of its own, which hears nothing from the one that runs the tests.
ask() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$MAKE" -s --no-print-directory -f flags.mk CNNC_MK="$CNNC_MK" "$@"
}
libs=$(ask libs)

# compile_check WHAT NAME TARGET LEVEL: ./check, of the network in model.c that is called NAME; 1: it failed, and that is said.
compile_check() {
    flags=$(ask TARGET="$3" CNNC_CFLAGS="$4 ${CNNC_CFLAGS-}" cflags)
    # shellcheck disable=SC2086
    $CC $flags -Wall -Wextra -Wshadow -Werror -DCNN_NO_MAIN "-DMODEL=$2_model" "$TOP/tests/unit/concat_check.c" model.c $libs \
        -o check >log 2>&1 && return
    fail "$1 does not compile without a warning"
    head -20 log
    return 1
}
