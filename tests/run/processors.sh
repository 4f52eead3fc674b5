# processors.sh - the targets that this machine can run or emulate, for scripts that stand in a folder by common.sh.

# has_all WORD...: whether the processor has these features, by the names that Linux has for them
has_all() {
    for feature in "$@"; do
        grep -m 1 -E '^(flags|Features)[[:space:]]*:' /proc/cpuinfo 2>/dev/null | grep -qw "$feature" || return 1
    done
}

# runs_here TARGET: without an emulator
runs_here() {
    case $(uname -m):$1 in
    *:generic | aarch64:aarch64) return 0 ;;
    x86_64:x86-64-v2) has_all sse4_2 ssse3 ;;
    x86_64:x86-64-v3) has_all sse4_2 avx2 fma bmi2 ;;
    x86_64:x86-64-v4) has_all avx2 fma bmi2 avx512f avx512bw avx512dq avx512vl ;;
    *) return 1 ;;
    esac
}

# emulator: the command that runs programs for aarch64
emulator() {
    for name in qemu-aarch64 qemu-aarch64-static; do
        command -v "$name" && return
    done
    return 1
}

cross=aarch64-linux-gnu

# cross_lacks: what there is not of the tools that make programs for aarch64 and run them here; nothing: all is there
cross_lacks() {
    command -v $cross-gcc >/dev/null || echo "$cross-gcc (Debian: gcc-aarch64-linux-gnu)"
    emulator >/dev/null || echo "qemu-aarch64 (Debian: qemu-user-static)"
    command -v $cross-gcc >/dev/null || return
    printf '#include <cblas.h>\n#include <jansson.h>\n#include <stdio.h>\n#include <png.h>\n#include <jpeglib.h>\n#include <zlib.h>\nint main(void) { return 0; }\n' |
        $cross-gcc -x c - -o libraries -lopenblas -ljansson -lpng -ljpeg -lz 2>/dev/null ||
        echo "its libraries (Debian: libopenblas-dev:arm64 libjansson-dev:arm64 libpng-dev:arm64 libjpeg-dev:arm64 zlib1g-dev:arm64)"
}

# cross_tree: configures and makes the runtime for aarch64 in $BUILD/aarch64, where it stays; its path in $tree
cross_tree() {
    tree=$BUILD/aarch64
    mkdir -p "$tree"
    if [ ! -e "$tree/Makefile" ] && ! (cd "$tree" && env -u CC -u CFLAGS "$TOP/configure" --host=$cross --quiet --disable-shared \
        --without-mpi CNNC_FOR_BUILD="$CNNC" CFLAGS=-O1) >cross.log 2>&1; then
        fail "configure --host=$cross"
    elif ! env -u MAKEFLAGS -u MAKELEVEL "$MAKE" -s -j 2 -C "$tree" libcnnrt.la cnnc.mk >cross.log 2>&1; then
        fail "the runtime for $cross cannot be made"
    else
        return 0
    fi
    sed 's/^/    /' cross.log | tail -20
    return 1
}

# tools_for TARGET FOLDER: a compiler of networks for this target alone, and one of C whose programs run here whatever they are
# for, as FOLDER/cnnc and FOLDER/cc; for aarch64 $tree is there.
tools_for() {
    mkdir -p "$2"
    printf '#!/bin/sh\ncase " $* " in *" --emit=inference "* | *" --target="*) exec "%s" "$@" ;; esac\nexec "%s" --target=%s "$@"\n' \
        "$CNNC" "$CNNC" "$1" >"$2/cnnc"
    if [ "$1" != aarch64 ] || runs_here aarch64; then
        printf '#!/bin/sh\nexec %s "$@"\n' "$CC" >"$2/cc"
    else
        # a program becomes a script that has it emulated
        cat >"$2/cc" <<SH
#!/bin/sh
$cross-gcc "\$@" || exit
for word in "\$@"; do
    case \$word in -c | -S | -E | -M | -MM | -shared | -fsyntax-only | -dump* | --version) exit 0 ;; esac
done
output=a.out before=
for word in "\$@"; do
    [ "\$before" = -o ] && output=\$word
    before=\$word
done
[ -f "\$output" ] || exit 0
folder=\$(dirname "\$output") name=\$(basename "\$output")
mv "\$output" "\$folder/.\$name.aarch64" || exit
{
    echo '#!/bin/sh'
    echo 'case \$0 in */*) folder=\${0%/*} ;; *) folder=. ;; esac'
    echo "exec $(emulator) -0 \"\\\$0\" \"\\\$folder/.\$name.aarch64\" \"\\\$@\""
} >"\$output"
chmod +x "\$output"
SH
    fi
    chmod +x "$2/cnnc" "$2/cc"
}
