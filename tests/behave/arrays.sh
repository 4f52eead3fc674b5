#!/usr/bin/env bash
# Arrays of numpy's as data, in files and in archives: of any type, order and layout they train to the same weights, as vectors, labels and classes;
# and what is wrong with one is named with its file, element and what was expected.
. "$(dirname "$0")/../run/common.sh"
command -v python3 >/dev/null || skip "no python3"

cat >make.py <<'PY'
import os, random, struct
CODES = {'|u1': 'B', '|i1': 'b', '|b1': '?', '<i2': 'h', '<i4': 'i', '<i8': 'q', '<u2': 'H', '<f4': 'f', '<f8': 'd', '<f2': 'e'}
def header(descr, shape, fortran=False, version=1):
    h = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, tuple(shape))
    h += ' ' * (63 - (len(h) + 10) % 64) + '\n'
    length = struct.pack('<H', len(h)) if version == 1 else struct.pack('<I', len(h))
    return b'\x93NUMPY' + bytes([version, 0]) + length + h.encode()
def strides(shape, fortran):
    s, step = [0] * len(shape), 1
    for k in (range(len(shape)) if fortran else reversed(range(len(shape)))):
        s[k], step = step, step * shape[k]
    return s
def npy(path, descr, shape, flat, fortran=False, version=1):
    """flat: the elements in C's order"""
    if fortran:
        s, turned = strides(shape, True), [0] * len(flat)
        c = strides(shape, False)
        for j, v in enumerate(flat):
            turned[sum(j // c[k] % shape[k] * s[k] for k in range(len(shape)))] = v
        flat = turned
    order = '>' if descr[0] == '>' else '<'
    code = CODES[descr if descr[0] != '>' else '<' + descr[1:]]
    open(path, 'wb').write(header(descr, shape, fortran, version) + struct.pack(order + str(len(flat)) + code, *flat))
def last(n, flat, c=3, h=4, w=5):      # channels first to channels last
    return [flat[((i * c + k) * h + y) * w + x] for i in range(n) for y in range(h) for x in range(w) for k in range(c)]
random.seed(5)
N, V, C, H, W = 120, 40, 3, 4, 5
E = C * H * W
labels = [random.randrange(4) for _ in range(N + V)]
bytes_ = [random.randrange(60) + 190 * (e // 8 % 4 == k) for k in labels for e in range(E)]
for part, a, n in (('t', 0, N), ('v', N, V)):
    x, y = bytes_[a * E:(a + n) * E], labels[a:a + n]
    npy(part + '_u1_chw.npy', '|u1', (n, C, H, W), x)
    npy(part + '_u1_hwc.npy', '|u1', (n, H, W, C), last(n, x))
    npy(part + '_u1_for.npy', '|u1', (n, H, W, C), last(n, x), True)
    for descr in ('<f4', '>f4', '<f8', '>f8', '<f2', '<i2', '>i4', '<i8', '<u2'):
        npy('%s_%s.npy' % (part, descr.replace('<', 'l').replace('>', 'b')), descr, (n, C, H, W), x)
    npy(part + '_f4_for.npy', '<f4', (n, C, H, W), x, True, 2)
    npy(part + '_row.npy', '<f4', (n, E), x)
    npy(part + '_y.npy', '<i8', (n,), y)
    npy(part + '_y1.npy', '|u1', (n, 1), [k + 7 for k in y])
    npy(part + '_yf.npy', '<f4', (n,), y)
    npy(part + '_hot.npy', '<f8', (n, 4), [1.0 if k == j else 0.0 for k in y for j in range(4)])
    npy(part + '_hotf.npy', '|b1', (n, 4), [k == j for k in y for j in range(4)], True)
    npy(part + '_grey.npy', '|u1', (n, H, W), x[:n * H * W])
    npy(part + '_sum.npy', '>f8', (n,), [sum(x[i * E:(i + 1) * E]) / 5000 for i in range(n)])
    npy(part + '_two.npy', '<f4', (n, 2), [v for k in y for v in (k / 4, 1 - k / 2)], True)
PY
python3 make.py || { fail "no arrays"; finish; }

# recipe NAME SOURCE-ARGUMENTS [STEPS [SOURCE]]
recipe() {
    cat >"$1.cnn" <<CNN
model $1
data { ${4:-npy} $2; ${3:-scale 1/255} }
network { input 3x4x5; flatten; dense 8, relu; dense 4, softmax }
train { loss categorical_crossentropy; optimizer adam, lr=0.01; metrics accuracy; epochs 3; batch 16; seed 1 }
CNN
}
# The arrays that a recipe names are links, so that one trainer reads many.
arrays() { # X Y [VAL_X VAL_Y]
    ln -sfn "t_$1.npy" x.npy
    ln -sfn "t_$2.npy" y.npy
    ln -sfn "v_${3:-$1}.npy" vx.npy
    ln -sfn "v_${4:-$2}.npy" vy.npy
}
all='x="x.npy", y="y.npy", val_x="vx.npy", val_y="vy.npy"'
recipe plain "$all"
recipe pictures "$all, values=bytes"
recipe rows "$all, layout=chw"
recipe seven "$all, first_label=7"
recipe drawn 'x="x.npy", y="y.npy"' 'split 0.25; limit train=80; normalize auto'
members='"all.npz", x="x_train", y="y_train", val_x="x_test", val_y="y_test.npy"'
recipe packed "$members" '' npz
recipe squeezed "$members, values=bytes" '' npz
recipe parted '"all.npz", x="x_train", y="y_train"' 'split 0.25; limit train=80; normalize auto' npz
build plain pictures rows seven drawn packed squeezed parted CNNC_CFLAGS="-O1 ${CNNC_CFLAGS:-}" || finish

# ---- the same numbers, however they are written
arrays u1_chw y
expect 0 ./plain
grep -q '^Train on 120 samples, validate on 40 samples$' out || fail "the log does not count 120 and 40"
grep -q "note: x.npy: bytes as numbers from 0 to 255; 'values=bytes'" err || fail "bytes are not spoken of: $(cat err)"
tensors plain.run/last.safetensors >right
tail -n 1 out | grep -q '^Test accuracy: 1' || fail "nothing is learnt: $(tail -n 1 out)"
# same TRAINER X Y ...: trained on these arrays it ends at the same weights
same() {
    trainer=$1
    shift
    arrays "$@"
    expect 0 "./$trainer" --run-dir other.run --overwrite --threads 2 || return
    tensors other.run/last.safetensors | cmp -s - right || fail "$trainer trains to other weights on $*"
}
for x in u1_hwc u1_for lf4 bf4 lf8 bf8 lf2 li2 bi4 li8 lu2 f4_for; do same plain $x y; done
for y in yf hot hotf; do same plain lf4 $y; done
same plain u1_hwc hotf f4_for y
same pictures u1_chw y
same pictures u1_hwc y
same pictures u1_for y
same rows row y
same seven lf4 y1
arrays lf4 y
expect 0 ./drawn
grep -q '^Train on 80 samples, validate on 31 samples$' out || fail "a split of an array: $(head -n 1 out)"
expect 0 ./drawn evaluate
rm -rf other.run/ && mkdir -p far && mv ./*.npy far
expect 0 ./plain evaluate --data far
cp far/t_y.npy t_y.npy       # one of the files lies elsewhere than the others: never without a word
mv far/t_y.npy far/kept
ln -sfn t_y.npy y.npy
expect 0 ./plain --data far --run-dir other.run --overwrite --limit-steps 1
grep -q 'note: --data far holds no y.npy; reading y.npy$' err || fail "a file beside --data is not spoken of: $(cat err)"
[ "$(grep -c 'holds no' err)" = 1 ] || fail "files in --data are said to be elsewhere: $(cat err)"
rm -r t_y.npy other.run
mv far/kept far/t_y.npy
mv far/*.npy .

# ---- predict: an array's samples by their numbers, with the accuracy that evaluate prints
python3 -c '
import struct
print("\n".join(map(str, struct.unpack("<40q", open("v_y.npy", "rb").read()[-320:]))))' >classes
# agrees TRAINER RUN FILE: of 40 samples with the classes of v_y.npy
agrees() {
    expect 0 "./$1" evaluate --run-dir "$2"
    accuracy=$(sed -n 's/^Test accuracy: //p' out)
    expect 0 "./$1" predict --run-dir "$2" --csv --top 1 "$3" || return
    tail -n +2 out | paste -d, - classes | awk -F, -v f="$3" -v a="$accuracy" '
        $1 != f ": " (NR - 1) { bad = 1 }
        { right += $3 == $6 }
        END { d = right / 40 - a; exit bad || NR != 40 || d * d > 1e-6 }' || fail "$1 predicts otherwise than evaluate: $3"
}
arrays lf4 y
expect 0 ./plain --run-dir short.run --limit-steps 2        # some are wrong then
agrees plain short.run vx.npy
cp out taken.csv
for x in u1_hwc f4_for bf8; do
    expect 0 ./plain predict --run-dir short.run --csv --top 1 v_$x.npy
    sed "s/v_$x/vx/" out | cmp -s - taken.csv || fail "predict takes v_$x.npy for something else"
done
expect 0 ./plain predict --run-dir short.run v_lf4.npy
[ "$(wc -l <out)" = 40 ] && grep -q '^v_lf4.npy: 39: class [0-3] [01][.]' out || fail "predict says: $(head -n 3 out)"
expect 1 ./plain predict --run-dir short.run --json nowhere.npy vx.npy
python3 -c '
import json
l = json.load(open("out"))
assert len(l) == 41 and "error" in l[0] and l[40]["file"] == "vx.npy: 39" and len(l[40]["predictions"]) == 3' ||
    fail "predict --json: $(head -n 3 out)"
grep -q 'nowhere.npy: ' err || fail "a missing array is not named: $(cat err)"
expect 1 ./plain predict --run-dir short.run v_row.npy v_y.npy make.py .
grep -q 'v_row.npy: .* may be rows of channels first or last' err &&
    grep -q "v_y.npy: .* does not fit the network's input of 3x4x5" err && grep -q 'make.py: is not an .npy file' err &&
    [ "$(grep -c 'error: ' err)" = 4 ] || fail "wrong arrays: $(cat err)"

# ---- the same in an archive
cat >pack.py <<'PY'
import sys, zipfile
how, names = sys.argv[1], sys.argv[2:]
method = {'stored': 0, 'wide': 0, 'bzip2': 12}.get(how, 8)
if how == 'wide':                       # what only archives of more than 4 GiB have
    zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = 100, 2
with zipfile.ZipFile('all.npz', 'w', method) as z:
    z.writestr('notes.txt', 'what is no array is passed over')
    for k, (name, part) in enumerate(zip(('x_train', 'y_train', 'x_test', 'y_test'), 'ttvv')):
        data = open('%s_%s.npy' % (part, names[k % len(names)]), 'rb').read()
        z.writestr(zipfile.ZipInfo(name + '.npy'), data, 0 if how == 'mixed' and k % 3 else method)
if how == 'wide':                       # and of which the directory's end says nothing
    with open('all.npz', 'r+b') as f:
        f.seek(-14, 2)
        f.write(b'\xff' * 12)
PY
# in_archive TRAINER HOW X Y [VAL_X VAL_Y]: trained on an archive of these it ends at the same weights.  more: arguments.
more=
in_archive() {
    trainer=$1
    shift
    python3 pack.py "$@" || { fail "pack.py $*"; return; }
    # shellcheck disable=SC2086
    expect 0 "./$trainer" --run-dir other.run --overwrite --threads 2 $more || return
    tensors other.run/last.safetensors | cmp -s - right || fail "$trainer trains to other weights on an archive: $*"
}
for how in stored deflated mixed wide; do in_archive packed $how lf4 y; done
in_archive packed deflated u1_hwc hotf f4_for y
in_archive packed stored bf8 y f4_for hot
for how in stored deflated; do in_archive squeezed $how u1_chw y; done
in_archive squeezed deflated u1_for y
arrays lf4 y
expect 0 ./drawn --run-dir files.run
for how in stored deflated; do
    python3 pack.py $how lf4 y
    expect 0 ./parted --run-dir $how.run
    cmp -s <(tensors files.run/last.safetensors) <(tensors $how.run/last.safetensors) ||
        fail "of an archive, $how, other samples are drawn"
done
expect 0 ./parted evaluate --run-dir stored.run
cat >alone.py <<'PY'
import zipfile
with zipfile.ZipFile('all.npz') as z, zipfile.ZipFile('new.npz', 'w', z.getinfo('x_test.npy').compress_type) as new:
    new.writestr('x_train.npy', z.read('x_test.npy'))
PY
for how in stored deflated; do       # the member that the recipe calls x, here of the samples that validate
    python3 pack.py $how lf4 y
    python3 alone.py
    expect 0 ./packed --run-dir few.run --overwrite --limit-steps 2
    agrees packed few.run new.npz
done
expect 1 ./packed predict --run-dir few.run vx.npy
grep -q 'vx.npy: ' err || fail "an array in the place of an archive: $(cat err)"
# more than may be kept goes to a temporary file
cat >many.py <<'PY'
exec(open('make.py').read().split('random.seed')[0])
npy('t_many.npy', '|u1', (6000, 3, 4, 5), [k * k // 7 % 251 for k in range(360000)])
npy('t_much.npy', '|u1', (6000,), [k % 4 for k in range(6000)])
PY
python3 many.py
arrays many much lf4 y
expect 0 ./plain --run-dir many.run --data-memory 1 --epochs 1
for how in stored deflated; do
    python3 pack.py $how many much lf4 y
    expect 0 ./packed --run-dir many.$how.run --data-memory 1 --epochs 1
    cmp -s <(tensors many.run/last.safetensors) <(tensors many.$how.run/last.safetensors) ||
        fail "of an archive, $how, that does not fit other samples are read"
done

# ---- what is wrong
# says TEXT COMMAND...: fails, and TEXT is in the message
says() {
    text=$1
    shift
    expect 1 "$@" || return
    grep -qF -- "$text" err || { fail "no '$text' in the message of: $*"; sed 's/^/    /' err; }
}
sum=$(cksum plain.run/*)
# wrong X Y TEXT [TRAINER]
wrong() {
    arrays "$1" "$2"
    says "$3" "./${4:-plain}" --overwrite
}
mv t_y.npy kept.npy
wrong lf4 y "'y.npy' is not there; looked for"
mkdir t_y.npy
wrong lf4 y 'y.npy: is not a regular file'
rmdir t_y.npy && mv kept.npy t_y.npy
cat >spoil.py <<'PY'
import struct, sys
exec(open('make.py').read().split('random.seed')[0])
x = open('t_lf4.npy', 'rb').read()
head = x.index(b'\n') + 1
def put(name, data): open('t_%s.npy' % name, 'wb').write(data)
put('none', b'')
put('text', b'x,y\n1,2\n')
put('head', x[:100])
put('cut', x[:-1])
put('long', x + b'x')
put('version', x[:6] + b'\x09' + x[7:])
put('nan', x[:head + 4 * (60 * 17 + 23)] + struct.pack('<f', float('nan')) + x[head + 4 * (60 * 17 + 24):])
put('inf', x[:-4] + struct.pack('<f', float('-inf')))
put('lost', x.replace(b"'descr'", b"'desc_'"))
put('complex', header('<c8', (60, 3, 4, 5)) + x[head:])
put('object', header('|O', (120, 3, 4, 5)) + x[head:])
put('absurd', header('<f4', (1 << 40, 1 << 40)))
put('huge', header('<f4', (1 << 31, 3, 4, 5)) + x[head:])
put('empty', header('<f4', (0, 3, 4, 5)))
put('shape', header('<f4', (120, 4, 3, 5)) + x[head:])
put('five', header('<f4', (120, 3, 4, 5, 1)) + x[head:])
put('single', header('<f4', ()) + x[:4])
npy('t_big.npy', '<f8', (120, 3, 4, 5), [0.0] * 7199 + [1e39])
npy('t_few.npy', '<i8', (119,), [1] * 119)
npy('t_four.npy', '<i4', (120,), [1] * 41 + [4] + [0] * 78)
npy('t_less.npy', '<i4', (120, 1), [1] * 41 + [-1] + [0] * 78)
npy('t_half.npy', '<f4', (120,), [1] * 41 + [1.5] + [0] * 78)
npy('t_three.npy', '<f4', (120, 3), [0] * 360)
npy('t_zero.npy', '<f4', (120, 4), [1, 0, 0, 0] * 50 + [0] * 4 + [1, 0, 0, 0] * 69)
npy('t_twice.npy', '<f4', (120, 4), [1, 0, 0, 0] * 50 + [1, 0, 0, 1] + [1, 0, 0, 0] * 69)
npy('t_some.npy', '<f4', (120, 4), [1, 0, 0, 0] * 50 + [0.5, 0, 0, 0.5] + [1, 0, 0, 0] * 69)
PY
python3 spoil.py || { fail "no spoilt arrays"; finish; }
while IFS='|' read -r name text; do
    wrong "$name" y "x.npy: $text"
done <<'LIST'
none|is empty
text|is not an .npy file
head|is cut short in its .npy header
cut|is cut short: (120, 3, 4, 5) of float32 takes 28800 bytes, 28799 are there
long|is too long: (120, 3, 4, 5) of float32 takes 28800 bytes, 28801 are there
version|is of an .npy version other than 1, 2 and 3
nan|element [17, 1, 0, 3] is nan: a sample's numbers have to be finite
inf|element [119, 2, 3, 4] is -inf: a sample's numbers have to be finite
big|element [119, 2, 3, 4] is 1e+39: more than a float can hold
lost|has an .npy header without 'descr'
complex|its elements are '<c8'; numbers of 8 to 64 bits can be read
object|its elements are '|O'; numbers of 8 to 64 bits can be read
absurd|has an absurd shape
huge|is cut short: (2147483648, 3, 4, 5) of float32 takes 515396075520 bytes, 28800 are there
empty|(0, 3, 4, 5) of float32 holds no samples
shape|(120, 4, 3, 5) of float32 does not fit the network's input of 3x4x5 (channels x height x width): expected (samples, 3, 4, 5), (samples, 4, 5, 3) or (samples, 60)
five|(120, 3, 4, 5, 1) of float32 does not fit
grey|(120, 4, 5) of uint8 does not fit
single|() of float32 holds no samples
row|(120, 60) of float32 may be rows of channels first or last: 'layout=chw' or 'layout=hwc'
LIST
wrong u1_chw few "x.npy holds 120 samples, y.npy the targets of 119"
while IFS='|' read -r name text; do
    wrong lf4 "$name" "y.npy: $text"
done <<'LIST'
four|element [41] is 4, expected a class from 0 to 3
less|element [41, 0] is -1, expected a class from 0 to 3
half|element [41] is 1.5, expected a class from 0 to 3
three|(120, 3) of float32: expected (120, 4) for the network's 4 classes, or one number a sample
zero|row 50 is all 0: no class of the sample is 1
twice|element [50, 3] is 1, expected 0: another class of the sample is 1 already
some|element [50, 0] is 0.5, expected 0 or 1
LIST
wrong lf4 y "x.npy: (120, 3, 4, 5) of float32: 'values=bytes' takes uint8" pictures
wrong u1_hwc y "x.npy: (120, 4, 5, 3) of uint8 does not fit" rows
arrays lf4 y u1_chw y1
says 'vy.npy: element [0, 0] is' ./plain --overwrite
arrays lf4 y grey y
says 'vx.npy: (40, 4, 5) of uint8 does not fit' ./plain evaluate
[ "$(cksum plain.run/*)" = "$sum" ] || fail "an older run was touched although the data could not be read"

# ---- archives that are wrong
cat >break.py <<'PY'
import struct, subprocess, sys
def made(*words):
    subprocess.check_call([sys.executable, 'pack.py'] + list(words))
    return open('all.npz', 'rb').read()
def put(name, data): open('bad_%s.npz' % name, 'wb').write(data)
name = b'x_train.npy'
def entry(data, name):                  # where its row of the directory begins
    return data.rindex(name) - 46
def field(data, offset, *values):       # of x_train's row
    at = entry(data, name) + offset
    raw = struct.pack('<%dI' % len(values), *values)
    return data[:at] + raw + data[at + len(raw):]
def called(data, old, new):
    at = entry(data, old) + 46
    return data[:at] + new + data[at + len(old):]
s, d, w = made('stored', 'lf4', 'y'), made('deflated', 'lf4', 'y'), made('wide', 'lf4', 'y')
end = len(w) - 22 - 20 - 56
for bad, data in (
        ('cut', s[:-30]), ('empty', b''), ('no_members', b'PK\5\6' + bytes(18)), ('array', open('t_lf4.npy', 'rb').read()),
        ('bit', s[:9000] + bytes([s[9000] ^ 1]) + s[9001:]),
        ('inflated', d[:1500] + b'\xff' * 40 + d[1540:]), ('checksum', field(d, 16, 7)),
        ('bzip2', made('bzip2', 'lf4', 'y')), ('locked', field(s, 8, 1)),
        ('larger', field(d, 24, 28928 + 4)), ('smaller', field(d, 24, 28928 - 4)), ('huge', field(d, 24, 0xf0000000)),
        ('longer', field(s, 20, 28928 + 90, 28928 + 90)), ('past', field(s, 20, 0xf0000000, 0xf0000000)),
        ('away', field(s, 42, 0xfffffff0)), ('lost', called(s, name, b'x_tra_n.npy')),
        ('twice', called(s, name, b'y_train.npy')),
        ('locator', w[:end] + b'----' + w[end + 4:]),
        ('count', w[:end + 24] + struct.pack('<QQQQ', *[1 << 60] * 4) + w[end + 56:])):
    put(bad, data)
for bad in ('big', 'nan', 'complex', 'huge', 'text'):
    put('in_' + bad, made('deflated', bad, 'y', 'lf4', 'y'))
put('in_cut', made('stored', 'cut', 'y', 'lf4', 'y'))
put('in_inf', made('stored', 'inf', 'y', 'lf4', 'y'))
put('in_few', made('deflated', 'lf4', 'few', 'lf4', 'y'))
put('in_four', made('stored', 'lf4', 'four', 'lf4', 'y'))
for i in range(12):
    put('part%d' % i, d[:len(d) * i // 12] + d[-22:])
PY
python3 break.py || { fail "no broken archives"; finish; }
python3 pack.py stored lf4 y
expect 0 ./packed
sum=$(cksum packed.run/*)
while IFS='|' read -r name text; do
    ln -sf "bad_$name.npz" all.npz
    says "all.npz: $text" ./packed --overwrite
done <<'LIST'
cut|is cut short: the archive's directory is missing
empty|is cut short: the archive's directory is missing
no_members|holds no array 'x_train'; it is empty
array|is cut short: the archive's directory is missing
bit|member 'x_train.npy' is damaged: its checksum does not fit
inflated|member 'x_train.npy'
checksum|member 'x_train.npy' is damaged: its checksum does not fit
bzip2|member 'x_train.npy' is packed in a way other than stored or deflated
locked|member 'x_train.npy' is encrypted
larger|array 'x_train': is too long: (120, 3, 4, 5) of float32 takes 28800 bytes, 28804 are there
smaller|array 'x_train': is cut short: (120, 3, 4, 5) of float32 takes 28800 bytes, 28796 are there
huge|member 'x_train.npy' has sizes that contradict each other
longer|member 'x_train.npy' lies over another one
past|member 'x_train.npy' is cut short
away|member 'x_train.npy' is not where the directory says
lost|holds no array 'x_train'; it holds 'notes.txt', 'x_tra_n.npy', 'y_train.npy', 'x_test.npy', 'y_test.npy'
twice|member 'y_train.npy' is there twice
locator|the archive's directory is broken
count|the archive's directory is broken
in_big|array 'x_train': element [119, 2, 3, 4] is 1e+39: more than a float can hold
in_nan|array 'x_train': element [17, 1, 0, 3] is nan: a sample's numbers have to be finite
in_inf|array 'x_train': element [119, 2, 3, 4] is -inf: a sample's numbers have to be finite
in_complex|array 'x_train': its elements are '<c8'
in_huge|array 'x_train': is cut short: (2147483648, 3, 4, 5) of float32 takes 515396075520 bytes, 28800 are there
in_text|array 'x_train': is not an .npy file
in_cut|array 'x_train': is cut short
in_few|array 'x_train' holds 120 samples, all.npz: array 'y_train' the targets of 119
in_four|array 'y_train': element [41] is 4, expected a class from 0 to 3
LIST
for i in 0 1 2 3 4 5 6 7 8 9 10 11; do
    ln -sf "bad_part$i.npz" all.npz
    says "all.npz: " ./packed --overwrite
done
[ "$(cksum packed.run/*)" = "$sum" ] || fail "an older run was touched although the archive could not be read"
ln -sfn bad_cut.npz x.npy
says "x.npy: is not an .npy file" ./plain --overwrite
grep -q "it is an archive: 'npz' reads its arrays" err || fail "an archive in the place of an array: $(cat err)"

# a file that is written to while a run reads it ends the run, which goes on when it is back
arrays lf4 y
expect 0 ./plain --run-dir whole.run --threads 1
cp t_lf4.npy kept.npy
mkfifo steps
./plain --run-dir changing.run --threads 1 --log-steps steps >out 2>err &
run=$!
{ read -r _ && read -r _ && truncate -s 500 t_lf4.npy; cat >/dev/null; } <steps
wait "$run"
[ $? = 1 ] || fail "a run whose samples are cut off does not end with 1"
grep -q 'x.npy: the file is being changed: it had 28928 bytes when the run began, and now has 500' err ||
    fail "what became of the file is not said: $(cat err)"
cp kept.npy t_lf4.npy
expect 0 ./plain --run-dir changing.run --threads 1 --resume
cmp -s whole.run/last.safetensors changing.run/last.safetensors || fail "the resumed run ends elsewhere"
finish
