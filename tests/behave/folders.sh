#!/bin/sh
# folders.sh - the folders of compiler/ and runtime/ stand in an order: what lies in one uses nothing of a later one,
# neither by including it nor by calling it.  What lies directly in compiler/ (main.c and what belongs to it) is the frame,
# which may use everything and is used by nobody.
. "$(dirname "$0")/../run/common.sh"

compiler="base syntax model expr graph ops check passes steps kernels plan emit show frame"
runtime="common core formats data files train cli mpi"

# A line "file included" for each file of our own that is included; what is named without its folder lies in the frame.
# Headers of a trainer's (vec), of the grammar and of rows.sh are nobody's in this order, cnnrt.h and config.h everybody's.
includes() {
    (cd "$1" && find . -name '*.[ch]' ! -path './vec/*' | sed 's|^\./||' | sort | while read -r file; do
        sed -n 's|^ *# *include "\([^"]*\)".*|\1|p' "$file" |
            sed -e '/^cnnrt\(_mpi\)*\.h$/d; /^config\.h$/d; /^cnn\.tab\.h$/d; /^cnn_[a-z0-9_]*\.h$/d; /^rows_[a-z]*\.h$/d' \
                -e 's|^[^/]*$|frame/&|' -e "s|^|$file |"
    done) | sed '/^[^/ ]* /s|^|frame/|'
}

# A line "object object (symbol)" for each symbol that the first takes from the second; objects are named as folder/file.
# What has no source any more is left from an earlier build.
calls() {
    find "$BUILD/$1" -name "$2-*.o" | sort | while read -r object; do
        name=$(echo "${object#"$BUILD/$1/"}" | sed "s|\.libs/||; s|$2-||; s|o\$|c|")
        [ -f "$TOP/$1/$name" ] && nm "$object" | awk -v name="$name" '{ print name, $(NF - 1), $NF }' |
            sed '/^[^/ ]* /s|^|frame/|'
    done | sort -u | awk '
        $2 ~ /^[TDBRC]$/ { owner[$3] = $1 }
        $2 == "U" { user[++count] = $1; symbol[count] = $3 }
        END { for (i = 1; i <= count; i++) if (symbol[i] in owner) print user[i], owner[symbol[i]] " (" symbol[i] ")" }'
}

# Lines that go against the order of the folders: "folders ..." first.
against() {
    awk -v order="$1" '
        BEGIN { n = split(order, names, " "); for (i = 1; i <= n; i++) place[names[i]] = i }
        { from = $1; sub("/.*", "", from); to = $2; sub("/.*", "", to) }
        !(from in place) || !(to in place) { print "no place in the order: " $1, $2; next }
        place[to] > place[from]'
}

# What ./uses says of a root.
check() {
    root=$1 order=$2 what=$3
    seen=$(wc -l <uses)
    against "$order" <uses | sort -u >wrong
    if [ "$seen" -lt 50 ]; then
        fail "$root, $what: only $seen uses were found"
    elif [ -s wrong ]; then
        fail "$root, $what: against the order of the folders"
        head -60 wrong
    fi
}

for root in compiler runtime; do
    eval "order=\$$root"
    for folder in "$TOP/$root"/*/; do
        case " $order vec " in
        *" $(basename "$folder") "*) ;;
        *) fail "$root/$(basename "$folder") has no place in the order" ;;
        esac
    done
done
includes "$TOP/compiler" >uses
check compiler "common $compiler" includes
includes "$TOP/runtime" >uses
check runtime "$runtime" includes
if command -v nm >/dev/null; then
    calls compiler libcnnc_a >uses
    check compiler "$compiler" calls
    calls runtime libcnnrt_la >uses
    check runtime "$runtime" calls
fi

# What the test would not see, it could not find.
mkdir -p planted/base planted/graph
printf '#include "graph/graph.h"\n' >planted/base/upwards.c
printf '#include "options.h"\n' >planted/base/frame.c
printf '#include "data/image.h"\n' >planted/base/runtime.c
printf '#include "cnnrt.h"\n#include "common/option.h"\n#include "base/arena.h"\n#include <cblas.h>\n' >planted/graph/fine.c
printf '#include "graph/graph.h"\n' >planted/main.c
includes planted >uses
against "common $compiler" <uses | sed 's/.*\(base\|graph\|frame\)\(\/[a-z]*\.c\).*/\1\2/' | sort | tr '\n' ' ' >found
[ "$(cat found)" = "base/frame.c base/runtime.c base/upwards.c " ] || fail "of planted includes were found: $(cat found)"
finish
