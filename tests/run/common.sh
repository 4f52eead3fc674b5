# common.sh - what the test scripts share.  A script starts with
#   . "$(dirname "$0")/../run/common.sh"
# and then stands in an empty folder of its own, which is removed at the end.  `make check` sets
#   CNNC      the compiler           CNNC_MK  the makefile of the build tree
#   TOP       the source tree        BUILD    the build tree
#   CC        the C compiler, with CNNC_CFLAGS to add (sanitizers)

set -u
LC_ALL=C
export LC_ALL

test_name=$(basename "$0" .sh)
: "${TOP:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${BUILD:=$TOP/build}"
: "${CNNC:=$BUILD/cnnc}"
: "${CNNC_MK:=$BUILD/cnnc.mk}"
: "${CC:=cc}"
: "${MAKE:=make}"
export CNNC CNNC_MK TOP BUILD CC

failures=0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cnnc-$test_name.XXXXXX") || exit 99
trap 'cd / && rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
cd "$scratch" || exit 99

# skip REASON: the test cannot be made here.
skip() {
    echo "SKIPPED: $*"
    exit 77
}

# fail TEXT: noted; the test goes on and fails at its end.
fail() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}

# finish: the last line of every script.
finish() {
    [ "$failures" -eq 0 ] || { echo "$failures failed"; exit 1; }
    echo "all passed"
    exit 0
}

# expect STATUS COMMAND...: runs it with output in ./out and ./err and compares its exit status.
expect() {
    expected_status=$1
    shift
    "$@" >out 2>err
    actual_status=$?
    [ "$actual_status" -eq "$expected_status" ] && return 0
    fail "exit status $actual_status instead of $expected_status: $*"
    sed 's/^/    /' out err | head -20
    return 1
}

# build NAME: the trainer of ./NAME.cnn or of the zoo's, by the rules that users have.
build() {
    "$MAKE" -s -f "$CNNC_MK" "$@" CC="$CC" >make.log 2>&1 && return 0
    fail "cannot build $*"
    sed 's/^/    /' make.log | tail -20
    return 1
}

# untimed FILE: a table of epochs without its last two columns, which say how long an epoch took.
untimed() {
    sed 's/,[^,]*,[^,]*$//' "$1"
}

# same_file A B: equal bytes, or tables of epochs that are equal but for their times.
same_file() {
    if head -n 1 "$1" | grep -q '^epoch,.*,seconds,images_per_second$'; then
        cmp <(untimed "$1") <(untimed "$2")
    else
        cmp "$1" "$2"
    fi
}

# tensors FILE: what a safetensors file holds behind its header.
tensors() {
    tail -c +$((9 + $(od -A n -t u8 -N 8 "$1"))) "$1"
}
