#!/usr/bin/env bash
# docs/models.md and its pictures are what docs/make_models makes of the models as they are: `make models-page` writes them.
. "$(dirname "$0")/../run/common.sh"

expect 0 sh "$TOP/docs/make_models" "$CNNC" made || finish
[ -s err ] && fail "docs/make_models says something: $(head -n 3 err)"
cmp -s made/models.md "$TOP/docs/models.md" || {
    fail "docs/models.md is stale: make models-page"
    diff -u "$TOP/docs/models.md" made/models.md | head -n 40
}
for model in "$TOP"/models/*.cnn; do
    name=$(basename "$model" .cnn)
    cmp -s "made/models/$name.svg" "$TOP/docs/models/$name.svg" || fail "docs/models/$name.svg is stale: make models-page"
    size=$(wc -c <"made/models/$name.svg")
    [ "$size" -lt 150000 ] || fail "$name.svg has $size bytes"
done
for picture in "$TOP"/docs/models/*.svg; do
    [ -f "$TOP/models/$(basename "$picture" .svg).cnn" ] || fail "$picture is of no model"
done
finish
