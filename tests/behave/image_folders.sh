#!/usr/bin/env bash
# Folders of pictures: which set is which, what is not used and said so, what would train something else than was meant
# and is refused, links of all kinds.
. "$(dirname "$0")/../run/common.sh"

# one grey pixel
base64 -d >pixel.png <<'PNG' || skip "no base64"
iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNwAAAAQgBBKTf07wAAAABJRU5ErkJggg==
PNG
recipe() {
    cat <<CNN
model $1
data { images "d"$2; resize 4; scale 1/255 }
network { input 1x4x4; conv2d 2, 3x3, relu; flatten; dense 3, softmax$3 }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 4 }
CNN
}
recipe sets "" "" >sets.cnn
recipe tuned "" " as other" >tuned.cnn
recipe plain "; split 0.5" "" >plain.cnn
build sets plain tuned || finish

# fill FOLDER COUNT: so many pictures in it
fill() {
    mkdir -p "$1"
    for ((n = 0; n < $2; n++)); do cp pixel.png "$1/$n.png"; done
}
# layout SET=COUNT...: the folder anew, with three classes in each set
layout() {
    rm -rf d
    for set in "$@"; do
        for class in a b c; do fill "d/${set%=*}/$class" "${set#*=}"; done
    done
}
# trains TRAINED VALIDATED: the run goes well with so many
trains() {
    expect 0 ./sets --overwrite && grep -q "^Train on $1 samples, validate on $2 samples$" out ||
        fail "not $1 and $2 samples: $(cat out err)"
}
says() {
    grep -qF -- "$1" err || fail "no '$1' in the message: $(cat err)"
}
silent() {
    [ -s err ] && fail "something is said: $(cat err)"
}
# refuses TEXT [PROGRAM]: an error with the text, and nothing trained
refuses() {
    expect 1 "./${2:-sets}" --overwrite && says "$1"
    grep -q '^Train on' out && fail "trained all the same: $1"
}

# ---- names of sets
for val in val valid validation Valid VALIDATION dev; do
    layout train=4 $val=3 test=2
    trains 12 9
    silent
done
layout Train=4 TEST=2
trains 12 6
silent
layout training=4 testing=2
trains 12 6
layout train=4 valid=3 val=2 test=1
refuses 'd/val and d/valid would both be used as the same set'
layout train=4 valid=3 test=2
ln -s valid d/val
trains 12 9
silent

# ---- what is not used is named, once
layout train=4 test=2
fill d/extra 1 && fill "d/old ones" 1
trains 12 6
says "note: d: not used, as no set has such a name (train, val, test): 'extra', 'old ones'"
[ "$(wc -l <err)" -eq 1 ] || fail "said more than once: $(cat err)"
layout train=4 test=2
mkdir -p d/__MACOSX/a d/train/__MACOSX d/train/.ipynb_checkpoints d/train/a/.ipynb_checkpoints
cp pixel.png d/train/a/.ipynb_checkpoints/
touch d/train/a/Thumbs.db d/train/b/.DS_Store d/test/a/._1.png d/desktop.ini
trains 12 6
silent
touch d/train/a/x.gif d/train/b/y.WebP d/test/c/z.bmp d/test/a/list.txt
cp pixel.png d/loose.png && cp pixel.png d/train/ && cp pixel.png d/test/
trains 12 6
says 'note: d: 3 pictures in formats that are not read (PNG and JPEG are) are left out, such as d/train/a/x.gif'
says 'note: d: 1 file not named .png, .jpg or .jpeg is left out, such as d/test/a/list.txt'
says "note: d: 3 pictures in no class's folder are not used, such as d/loose.png"
[ "$(wc -l <err)" -eq 3 ] || fail "said more than once: $(cat err)"
layout train=4 val=2
mkdir d/test && cp pixel.png d/test/
trains 12 6
says 'note: d/test: not used, as it holds no pictures in folders of classes'

# ---- classes without pictures
layout train=4 test=2
rm d/test/b/* && rm -r d/test/c
trains 12 2
says "note: images: 2 of 3 classes have no picture in the test set: 'b', 'c'"
rm d/train/a/* && touch d/train/b/notes.txt
refuses 'error: d/train/a: holds no pictures (.png, .jpg, .jpeg)'
grep -q 'd/train/a: .*notes.txt' err && fail "a class is described with another's file"
touch d/train/a/mine.tif
refuses 'd/train/a: holds no pictures (.png, .jpg, .jpeg) but files such as d/train/a/mine.tif'
layout train=4 test=2
fill d/train/d 1
refuses "has 4 folders of classes, the network ends in 3: 'a', 'b', 'c', 'd'"

# ---- links
layout train=5 test=2
ln -s .. d/train/a/loop
trains 15 6
says 'note: d/train/a/loop leads back to a folder above it: passed over'
ln -s ../.. d/train/b/loop
ln -s "$PWD/d/train/c" d/train/c/loop
trains 15 6
says 'note: d/train/a/loop, and 2 more links, lead back to folders above them: passed over'
layout train=5 test=2
fill d/train/a/more 3 && ln -s more d/train/a/again
trains 18 6
says 'note: d/train/a/more leads to a folder that is read already: passed over'
layout train=5 test=2
ln -s ../b d/train/a/x
refuses "d/train/b is the folder d/train/a/x again: its pictures would be of two classes, 'a' and 'b'"
rm d/train/a/x && ln -s ../a d/train/b/x
refuses "d/train/b/x is the folder d/train/a again: its pictures would be of two classes, 'a' and 'b'"
rm -r d/train/b && ln -s a d/train/b
refuses "d/train/b is the folder d/train/a again: its pictures would be of two classes, 'a' and 'b'"
layout train=5 test=2
ln -s ../../test/b d/train/a/x
refuses "d/train/a/x is the folder d/test/b again: its pictures would be of two classes, 'a' and 'b'"
rm d/train/a/x && ln -s ../../test d/train/a/x
refuses "d/train/a/x is the folder d/test again, which is a set of its own"
rm -r d/train/a/x && ln -s ../../train/b d/test/a/x
refuses "its pictures would be of two classes"
rm d/test/a/x && ln -s ../../train/a d/test/a/x
trains 15 11
says 'note: d/test: 5 pictures are in d/train too, such as d/test/a/x/0.png'
layout train=5
ln -s train d/test
trains 15 15
says 'note: d/test: 15 pictures are in d/train too, such as d/test/a/0.png'
layout train=5 test=2
ln -s ../a/0.png d/train/b/x.png && ln d/train/c/1.png d/test/c/x.png
trains 16 7
says 'note: d/train: 1 picture is of two classes, by links to one file, such as d/train/b/x.png'
says 'note: d/test: 1 picture is in d/train too, such as d/test/c/x.png'
layout train=5 test=2
fill store/a 3 && rm -r d/train/a && ln -s "$PWD/store/a" d/train/a
trains 13 6
silent

# folders that all link to one another: ways through them are as many as a factorial, processor time must not be
for count in 12 70; do
    layout train=4 test=2
    for ((i = 0; i < count; i++)); do
        mkdir -p mesh$count/$i
        for ((k = 0; k < count; k++)); do [ $i -eq $k ] || ln -s ../$k mesh$count/$i/to$k; done
    done
    cp pixel.png mesh$count/7/
    ln -s "$PWD/mesh$count/0" d/train/a/mesh
    (ulimit -t 20; trains 13 6; exit "$failures") || fail "$count folders that link to one another"
    grep -q 'read already: passed over$' err || fail "nothing is said of links that are passed over: $(cat err)"
done

# ---- classes that change their places between two parts of a run, or between a run and its evaluation
layout train=4 test=2
trains 12 6
best=sets.run/best.safetensors sum=$(cksum sets.run/*)
# refused TEXT COMMAND...
refused() {
    expect 1 "${@:2}" && says "$1"
}
# renamed FROM TO: a class's folders
renamed() {
    mv "d/train/$1" "d/train/$2" && mv "d/test/$1" "d/test/$2"
}
renamed c A
moved="class 0 of the data is 'A', the weights were trained with 'a' in its place"
refused "$moved" ./sets evaluate
refused "$moved" ./sets --resume --epochs 2
refused "$moved" ./sets --weights $best --run-dir new.run
refused "$moved" ./sets --weights $best --partial --run-dir new.run
[ -e new.run ] && fail "a run was begun with classes in other places"
expect 0 ./tuned --weights $best --partial      # its last layer begins anew
grep -q '^  other.weight .*: not taken' out || fail "the last layer is taken: $(cat out)"
silent
renamed A z
other="class 2 of the data is 'z', the weights were trained with 'c' in its place"
refused "$other" ./sets evaluate
refused "$other" ./sets --resume --epochs 2
expect 0 ./sets --weights $best --run-dir new.run
says "note: $other: they are trained further with other classes"
renamed z c
mv d/train/a/0.png d/train/c/more.png
refused 'with other labels' ./sets --resume --epochs 2
mv d/train/c/more.png d/train/a/0.png
[ "$(cksum sets.run/*)" = "$sum" ] || fail "a run was touched although it was refused"
expect 0 ./sets --resume --epochs 2
sed 's/"classes":"\[/"classes":"{/' $best >broken.safetensors
expect 0 ./sets predict --weights broken.safetensors pixel.png
says "metadata 'classes' should hold the names of 3 classes"

# ---- a folder too high or too low, and no training set
layout train=4 test=2
mkdir up && mv d up/d && mv up d
refuses 'd: has no folder train/, but d/d/train is there: name the folder that it lies in'
refuses 'd: has no folder train/, but d/d/train is there: name the folder that it lies in' plain
mv d/d/train/* d/d/test d/ && rm -rf d/d && mv d train
ln -s train d && rm -r train/test
refuses 'd: is a set itself: name the folder above it'
rm d && mv train d
refuses 'd: has no folder train/: write'
expect 0 ./plain --overwrite
silent
rm -r d/c && mkdir -p d/test/x && cp pixel.png d/test/x/
refuses 'd: has no folder train/ beside d/test'
refuses 'd/test: is a set without a training set beside it; it would be trained as a class' plain
mv d/test/x/pixel.png d/test/ && rmdir d/test/x
fill d/test 4
expect 0 ./plain --overwrite
says 'note: d/test: taken for a class, as there is no folder train/ beside it'
finish
