#!/usr/bin/env bash
# What `make dist` packs is what git knows, neither less nor more, but for the few files below; no two sources share a name.
. "$(dirname "$0")/../run/common.sh"
command -v git >/dev/null && [ -e "$TOP/.git" ] || skip "not in a git clone"
git -C "$TOP" ls-files >tracked 2>err || skip "git does not want to: $(head -n 1 err)"
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

expect 0 "$MAKE" -s -C "$BUILD" distdir distdir="$scratch/dist" || finish
chmod -R u+w dist
# what makes no sense without git, and what autoreconf writes
grep -v -x -F -e .gitignore tracked | sort >wanted
(cd dist && find . -type f | sed 's|^\./||' | grep -v -E '^(build-aux|m4/(libtool|lt)[^/]*)|^(aclocal\.m4|configure|config\.h\.in|Makefile\.in)$' |
    sort) >packed
comm -23 wanted packed | while read -r file; do
    [ -e "$TOP/$file" ] && echo "$file"
done >missing
[ -s missing ] && fail "not packed; name them in Makefile.am: $(tr '\n' ' ' <missing)"
# what is new and not yet added is no stranger
git -C "$TOP" ls-files --others --exclude-standard >new
comm -13 wanted packed | grep -v -x -F -f new >strangers
[ -s strangers ] && fail "packed, but not known to git: $(tr '\n' ' ' <strangers)"
# a file is called by its name alone in messages, comments and debuggers
twice=$(grep -E '^(compiler|runtime|grammar|tests)/.*\.[chly]$' tracked | sed 's|.*/||' | sort | uniq -d | tr '\n' ' ')
[ -z "$twice" ] || fail "names that two files have: $twice"
finish
