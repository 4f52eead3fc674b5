#!/usr/bin/env bash
# Wisdom that is planted here changes the plan and the emitted kernel, within what --exact, --error-growth and --kernel
# allow; damaged and foreign wisdom is reported and does no harm.  The bound on rounding errors changes the plan too.
. "$(dirname "$0")/../run/common.sh"
unset CNNC_WISDOM

cat >net.cnn <<'CNN'
model net
data { shapes classes=10, train=64, val=32; scale 1/255 }
network {
    input 3x32x32
    conv2d 32, 3x3, relu
    conv2d 48, 2x2, relu
    flatten
    dense 10, softmax
}
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 8 }
CNN
version=$("$CNNC" --version | sed -n 's/^cnnc //p')
layer='conv2d(32x30x30,w48x32x2x2>48x29x29)+bias+relu'
first='cnnc-wisdom 1'

# plant THREADS KERNEL=NANOSECONDS...: entries for the forward pass of conv2d_2
plant() {
    plant_threads=$1
    shift
    for entry; do
        echo "$version x86-64-v3 float $plant_threads 8 $layer ${entry%=*} ${entry#*=}"
    done
}
# plan OPTIONS...: the plan in ./plan, messages in ./err
plan() { "$CNNC" --target=x86-64-v3 --dump=plan "$@" net.cnn >plan 2>err || fail "no plan with $*: $(cat err)"; }
# says TEXT: how conv2d_2's forward pass is computed, first in training and then in use
says() {
    [ "$(grep -c "^  conv2d_2:forward = $1" plan)" -eq 2 ] ||
        fail "expected 'conv2d_2:forward = $1', found: $(grep '^  conv2d_2:forward' plan)"
}
silent() { [ ! -s err ] || fail "something is said: $(cat err)"; }
decisions() { sed 's/;.* of: .*//'; }

# ---- without wisdom
plan
silent
cp plan plain.plan
says 'winograd6 .*; cheapest of: '
expect 0 "$CNNC" --target=x86-64-v3 net.cnn -o plain.c
plan --exact
says 'direct .*; cheapest of: direct [^,]*cycles, winograd.*(errors grow '

# ---- times that differ by less than their noise do not change what the estimates say
noisy() { { echo "$first"; plant 2 direct=4000000 winograd6=3000000 winograd8=2500000 im2col=2000000 "$@"; } >noisy.wisdom; }
noisy im2col@second=3000000
plan --wisdom=noisy.wisdom
says 'winograd6 .*; no other measured faster beyond noise of: direct 4 ms, winograd6 3 ms, .*, im2col 2 ms'
noisy winograd6@second=4100000
plan --wisdom=noisy.wisdom
says 'winograd6 .*; no other measured faster beyond noise'
noisy im2col@second=2990000 winograd6@second=3990000
plan --wisdom=noisy.wisdom
says 'im2col .*; measured fastest of: '

# ---- rounds of a measurement that was broken off are nobody's times
{ echo "$first"; plant 2 direct@0=4000000 winograd6@0=3000000 winograd8@0=2500000 im2col@0=2000000; } >rounds.wisdom
plan --wisdom=rounds.wisdom
diff <(decisions <plain.plan) <(decisions <plan) || fail "a measurement that was broken off changes the plan"
grep -q 'holds nothing for this version' err || fail "it is not said that nothing is known: $(cat err)"

# ---- planted: the plan and the C file change, and nothing else of the plan
{ echo "$first"; echo '# planted'; echo; plant 2 direct=4000000 winograd6=3000000 winograd8=2500000 im2col=2000000; } >im2col.wisdom
plan --wisdom=im2col.wisdom
silent
says 'im2col .*; measured fastest of: direct 4 ms, winograd6 3 ms, winograd8 2.5 ms.*, im2col 2 ms'
[ "$(grep -c "measured fastest" plan)" -eq 2 ] || fail "more is measured than was planted"
diff <(decisions <plain.plan | grep '^  [a-z0-9_]*:[a-z]* = ') <(decisions <plan | grep '^  [a-z0-9_]*:[a-z]* = ') >diff
[ "$(grep -c '^[<>]' diff)" -eq 4 ] && ! grep '^[<>]' diff | grep -v conv2d_2:forward ||
    fail "other layers were planned otherwise: $(cat diff)"
expect 0 "$CNNC" --target=x86-64-v3 --wisdom=im2col.wisdom net.cnn -o im2col.c
grep -A 3 'conv2d_2 (line 6): forward' im2col.c | tr -d '\n' | grep -q 'kernel im2col (measured.*fastest' ||
    fail "the C file does not say that im2col was measured: $(grep -A 3 'conv2d_2 (line 6): forward' im2col.c)"
[ "$(grep -c 'cblas_sgemm' im2col.c)" -gt "$(grep -c 'cblas_sgemm' plain.c)" ] || fail "the kernel emitted is not im2col"
mkdir -p again
expect 0 "$CNNC" --target=x86-64-v3 --wisdom=im2col.wisdom net.cnn -o again/im2col.c && cmp again/im2col.c im2col.c ||
    fail "same wisdom, other bytes"
CNNC_WISDOM=im2col.wisdom "$CNNC" --target=x86-64-v3 net.cnn -o again/im2col.c && cmp again/im2col.c im2col.c ||
    fail "CNNC_WISDOM is not read"
mkdir -p cache/cnnc && cp im2col.wisdom cache/cnnc/wisdom
XDG_CACHE_HOME=$PWD/cache "$CNNC" --target=x86-64-v3 --wisdom net.cnn -o again/im2col.c && cmp again/im2col.c im2col.c ||
    fail "--wisdom does not read the cache"
XDG_CACHE_HOME=$PWD/cache "$CNNC" --target=x86-64-v3 net.cnn -o again/plain.c && cmp again/plain.c plain.c ||
    fail "the cache is read unasked"

# ---- wisdom that confirms the estimates is the same plan: trainers may be resumed
{ echo "$first"; plant 2 direct=4000000 winograd6=300 winograd8=2500000 im2col=2000000; } >same.wisdom
plan --wisdom=same.wisdom
says 'winograd6 .*measured fastest'
"$CNNC" --target=x86-64-v3 --wisdom=same.wisdom net.cnn -o - | grep plan_hash | diff - <(grep plan_hash plain.c) ||
    fail "the reason is part of the plan's hash"

# ---- times and estimates are never mixed
grep -v winograd8 im2col.wisdom >part.wisdom
plan --wisdom=part.wisdom
says 'winograd6 .*; cheapest, not all measured of: direct .*cycles'

# ---- what is not allowed is not taken, however fast
{ echo "$first"; plant 2 direct=4000000 winograd6=1 winograd8=2 im2col=5000000; } >fast.wisdom
plan --wisdom=fast.wisdom
says 'winograd6 .*measured'
plan --wisdom=fast.wisdom --exact
says 'direct .*measured'
grep -v winograd fast.wisdom >exact.wisdom      # what is not allowed need not be known
plan --wisdom=exact.wisdom --exact
says 'direct .*measured'
plan --wisdom=fast.wisdom --kernel conv2d_2:forward=im2col
says 'im2col .*; asked for of: '

# ---- threads: the most that there are times for, unless the option or the model says otherwise
{ echo "$first"; plant 2 direct=9 winograd6=9 winograd8=1 im2col=9
  plant 16 direct=9 winograd6=9 winograd8=9 im2col=1; } >threads.wisdom
plan --wisdom=threads.wisdom
says im2col
plan --wisdom=threads.wisdom --threads=2
says winograd8
sed 's/batch 8/batch 8; threads 2/' net.cnn >two.cnn
"$CNNC" --target=x86-64-v3 --dump=plan --wisdom=threads.wisdom two.cnn >plan 2>err
says winograd8
plan --wisdom=threads.wisdom --threads=3
says 'winograd6 .*cheapest'
grep -q 'warning: threads.wisdom holds nothing for .* and so many threads' err || fail "nothing said of foreign threads: $(cat err)"

# ---- of another version, target, type or batch: nothing is used, and that is said
for change in "s/^$version /0.0.0 /" 's/ x86-64-v3 / x86-64-v4 /' 's/ float / double /'; do
    sed "$change" im2col.wisdom >foreign.wisdom
    plan --wisdom=foreign.wisdom
    says 'winograd6 .*cheapest'
    grep -q '^cnnc: warning: foreign.wisdom holds nothing for this version, target and type' err || fail "$change: $(cat err)"
done
plan --threads=3 --wisdom=foreign.wisdom
[ "$(grep -c '^cnnc: warning: ' err)" -eq 1 ] || fail "other threads: $(cat err)"
sed 's/ 2 8 conv/ 2 16 conv/' im2col.wisdom >foreign.wisdom
plan --wisdom=foreign.wisdom
says 'winograd6 .*cheapest'
grep -q '^cnnc: warning: foreign.wisdom holds nothing for the layers of [a-z_0-9]*, batch 8' err || fail "another batch: $(cat err)"
sed 's/$/\r/' im2col.wisdom >foreign.wisdom
"$CNNC" --wisdom=foreign.wisdom --dump=plan net.cnn >plan 2>err && fail "lines that end in CR LF are taken"
grep -q '^foreign.wisdom:1: error: lines of this wisdom end in CR LF' err || fail "CR LF: $(cat err)"

# ---- damaged lines are named and left out, the others count
{
    cat im2col.wisdom
    echo "$version x86-64-v3 float 2 8 $layer im2col"
    echo "$version x86-64-v3 float 2 8 $layer im2col 12x"
    echo "$version x86-64-v3 float 2 8 $layer im2col -5"
    echo "$version x86-64-v3 float 2 8 $layer im2col 99999999999999999999999"
    echo "$version x86-64-v3 float two 8 $layer im2col 5"
    echo "$version  x86-64-v3 float 2 8 $layer im2col 5"
    printf '%s x86-64-v3 float 2 8 %s im2col\0 5\n' "$version" "$layer"
    head -c 5000 /dev/zero | tr '\0' 'x'
    echo
    printf '%s x86-64-v3 float 2 8 %s direct 1' "$version" "$layer"
} >damaged.wisdom
plan --wisdom=damaged.wisdom
says 'im2col .*measured'
for line in 8 9 10 11 12; do
    grep -q "^damaged.wisdom:$line: warning: damaged line left out: " err || fail "line $line is not reported: $(cat err)"
done
grep -q '^damaged.wisdom: warning: 4 more damaged lines left out$' err || fail "wrong count of damaged lines: $(cat err)"

# ---- what is no wisdom is refused, and never written over
printf 'cnnc-wisdom 2\nwhat a later version may write\n' >later.wisdom
printf '%s' "$first" >torn.wisdom
head -c 300000 /dev/urandom >random.wisdom
for file in net.cnn later.wisdom torn.wisdom random.wisdom; do
    cp $file before
    rm -f refused.c
    expect 1 "$CNNC" --wisdom=$file net.cnn -o refused.c && grep -q "^$file:1: error: " err || fail "$file: $(head -c 300 err)"
    expect 1 "$CNNC" --tune --threads=1 --wisdom=$file net.cnn -o refused.c
    cmp -s $file before || fail "$file was written over"
    [ ! -e refused.c ] || fail "$file was refused, but the C file is there"
done
expect 1 "$CNNC" --wisdom=missing net.cnn -o refused.c && grep -q 'cannot read the wisdom missing: ' err || fail "missing: $(cat err)"
expect 1 "$CNNC" --wisdom=. net.cnn -o refused.c
expect 1 "$CNNC" --tune --wisdom=no/such/folder net.cnn -o refused.c && grep -q 'cannot write the wisdom no/such/folder: ' err ||
    fail "a missing folder: $(cat err)"
: >empty.wisdom
plan --wisdom=empty.wisdom
grep -q 'warning: empty.wisdom holds nothing' err || fail "nothing is said of empty wisdom: $(cat err)"

# ---- wrong use
for options in --wisdom= --threads=2 '--tune --threads=0' '--tune --threads=many' '--tune --check' \
    '--wisdom=im2col.wisdom --threads=5000' '--tune --emit=inference' '--exact --error-growth=4' --error-growth=0.99 \
    --error-growth=inf --error-growth=nan --error-growth= --error-growth=5x; do
    # shellcheck disable=SC2086
    expect 2 "$CNNC" $options net.cnn -o refused.c
done
# A machine that this one is not.
case $(uname -m) in x86_64) other=aarch64 ;; *) other=x86-64-v3 ;; esac
expect 1 "$CNNC" --tune --target=$other --wisdom=new.wisdom net.cnn -o refused.c && grep -q "programs for $other do not run" err ||
    fail "tuning for another machine: $(cat err)"
[ ! -e new.wisdom ] && [ ! -e refused.c ] || fail "something was written"

# ---- the bound on rounding errors
plan --error-growth=1
decisions <plan >one
plan --exact
decisions <plan | diff - one || fail "--error-growth=1 is not --exact"
grep -q '= winograd' one && fail "there is a Winograd kernel within a bound of 1"
# Just below what a kernel needs it is out, just above it is in.
growth=$(sed -n 's/^  conv2d_2:forward .*winograd6 [0-9.e]* Mcycles (errors grow \([0-9.]*\) times).*/\1/p' plan | head -n 1)
below=$(awk "BEGIN { print ${growth:-0} * 0.98 }") above=$(awk "BEGIN { print ${growth:-0} * 1.02 }")
plan --error-growth="$below"
grep '^  conv2d_2:forward = winograd6' plan && fail "winograd6 is taken though its errors grow $growth times, over $below"
plan --error-growth="$above"
says 'winograd6 '
plan --error-growth=25
diff plan plain.plan || fail "the bound without the option is not 25"
finish
