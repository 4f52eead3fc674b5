#!/usr/bin/env bash
# The files for editors have every word of cnnc --list; vim and the regular expressions of the TextMate grammar are tried
# where vim and node or python are.
. "$(dirname "$0")/../run/common.sh"
source=$TOP/grammar/editors syntax=$BUILD/editors/vim/syntax/cnn.vim
textmate=$BUILD/editors/vscode/syntaxes/cnn.tmLanguage.json
[ -s "$syntax" ] && [ -s "$textmate" ] && [ -s "$BUILD/editors/vscode/package.json" ] || { fail "the files are not made"; finish; }
grep -n '@' "$syntax" "$textmate" "$BUILD/editors/vscode/package.json" | grep -v '@Spell\|@NoSpell\|\\@' >left
[ -s left ] && fail "a word was not filled in: $(cat left)"
grep -q "\"version\": \"$("$CNNC" --version | sed -n '1s/cnnc //p')\"" "$BUILD/editors/vscode/package.json" || fail "another version"

# ---- every word is there, in the group of its list
for list in layers activations initialisers sources steps losses optimizers schedules metrics callbacks statements \
    keywords sizes functions; do
    "$CNNC" --list=$list | sed 1,2d | sed -n 's/^\([a-z][a-z0-9_]*\).*/\1/p' >names
    [ -s names ] || fail "no words in $list"
    while read -r name; do
        echo "$list $name" >>words
        grep -qE "^syn keyword cnn[A-Z][a-z]* (.* )?$name( |$)" "$syntax" || fail "vim's file lacks '$name' of $list"
        grep -qE "[(|]$name[|)]" "$textmate" || fail "the TextMate grammar lacks '$name' of $list"
    done <names
done
[ "$(wc -l <words)" -gt 100 ] || fail "few words were found: $(wc -l <words)"

cat >sample.cnn <<'CNN'
# A comment with "quotes" and conv2d
model sample
const width = 0x3
metric mine(y, p) higher_is_better = sum(y * p)
data { shapes train=100, val=20; scale 1/255; csv "a\"b.csv" }
network {
    input 3x32x32
    conv2d width, 3x3, relu, padding=same, init=he_normal, trainable=off as stem
    if in_channels >= 8 { dropout 0.5 } else { relu }
    dense 1e-3, softmax
}
train { loss mse; optimizer adam; metrics accuracy; lr_schedule cosine; early_stopping }
CNN
# what each place of the sample is: line, text, group of vim, scope of TextMate
cat >places <<'PLACES'
1|comment|cnnComment|comment.line.number-sign.cnn
1|quotes|cnnComment|comment.line.number-sign.cnn
1|conv2d|cnnComment|comment.line.number-sign.cnn
2|model|cnnStatement|keyword.control.cnn
2|sample|cnnDeclared|entity.name.function.cnn
3|const|cnnKeyword|keyword.control.cnn
4|mine|cnnDeclared|entity.name.function.cnn
4|higher_is_better|cnnDirection|keyword.other.cnn
4|sum|cnnFunction|support.function.cnn
5|shapes|cnnSource|keyword.other.source.cnn
5|train|cnnStatement|variable.parameter.cnn
5|255|cnnNumber|constant.numeric.cnn
5|b.csv|cnnString|string.quoted.double.cnn
7|input|cnnLayer|entity.name.type.cnn
7|3x32x32|cnnExtent|constant.numeric.cnn
8|conv2d|cnnLayer|entity.name.type.cnn
8|relu|cnnActivation|support.function.activation.cnn
8|padding|cnnOption|variable.parameter.cnn
8|he_normal|cnnInit|support.constant.initialiser.cnn
8|off|cnnSwitch|constant.language.cnn
8|as|cnnKeyword|keyword.control.cnn
9|if|cnnKeyword|keyword.control.cnn
9|in_channels|cnnSize|variable.language.cnn
9|>=|cnnOperator|keyword.operator.cnn
9|0.5|cnnNumber|constant.numeric.cnn
10|1e-3|cnnNumber|constant.numeric.cnn
12|adam|cnnOptimizer|support.constant.optimizer.cnn
12|accuracy|cnnMetric|support.constant.metric.cnn
12|cosine|cnnSchedule|support.constant.schedule.cnn
12|early_stopping|cnnCallback|keyword.other.callback.cnn
PLACES

# ---- vim
if command -v vim >/dev/null && vim --version | grep -q '+syntax' && vim --version | grep -q '+eval'; then
    mkdir -p runtime
    cp -R "$source/vim/ftdetect" "$source/vim/ftplugin" "$source/vim/compiler" runtime
    mkdir runtime/syntax && cp "$syntax" runtime/syntax
    printf 'network{input 3x32x32;flatten # all\ndense 10,softmax}\n' >messy.cnn
    printf 'network { input 3x32x32; conv2d 3, 9x99 }\n' >wrong.cnn
    cat >try.vim <<'VIM'
set nocompatible
let &runtimepath = getcwd() . "/runtime," . $VIMRUNTIME
filetype plugin on
syntax on
redir! > messages
edit sample.cnn
let out = [&filetype, &commentstring, &formatprg, b:current_syntax]
for place in readfile("places")
  let parts = split(place, "|")
  let column = match(getline(parts[0]), '\V' . escape(parts[1], '\')) + 1
  call add(out, parts[0] . "|" . parts[1] . "|" . synIDattr(synID(parts[0], column, 1), "name"))
endfor
call writefile(out, "groups")
edit messy.cnn
normal! gggqG
write
edit wrong.cnn
compiler cnnc
silent make
call writefile(map(getqflist(), 'v:val.lnum . ":" . v:val.col . ":" . v:val.type'), "errors")
redir END
qall!
VIM
    PATH=$(dirname "$CNNC"):$PATH TERM=dumb timeout 60 vim -N -u NONE -i NONE -n -es -S try.vim </dev/null >log 2>&1
    [ -s groups ] || { fail "vim does not take its files"; head -20 log messages; finish; }
    { printf 'cnn\n# %%s\ncnnc --format -\ncnn\n'; cut -d'|' -f1-3 places; } | diff - groups >different ||
        { fail "vim sees something else (<: what it should)"; cat different; }
    grep -E '^E[0-9]+:|Error' messages && fail "vim finds faults in its files"
    [ "$(sed -n 2p messy.cnn)" = '    input 3x32x32' ] || fail "gq does not format: $(cat messy.cnn)"
    grep -q '^1:[0-9]*:e$' errors || fail ":make finds no error: $(cat errors)"
    echo "vim: $(wc -l <groups) places"
fi

# ---- TextMate: the first pattern that matches at a place has it, as editors do it
if command -v node >/dev/null; then
    cat >try.js <<'JS'
const fs = require("fs");
const grammar = JSON.parse(fs.readFileSync(process.argv[2], "utf8")), rules = [];
function add(patterns) {
    for (const p of patterns)
        if (p.include) { const q = grammar.repository[p.include.slice(1)]; add(q.patterns && !q.begin ? q.patterns : [q]); }
        else rules.push({ name: p.name, first: new RegExp(p.begin || p.match, "g"), captures: p.captures,
                          end: p.end && new RegExp(p.end, "g"), inner: (p.patterns || []).map(q => new RegExp(q.match, "g")) });
}
add(grammar.patterns);
function scopes(line) {
    const found = new Array(line.length).fill("");
    for (let at = 0; at < line.length;) {
        let best = null, rule = null;
        for (const r of rules) {
            r.first.lastIndex = at;
            const m = r.first.exec(line);
            if (m && m[0].length && (!best || m.index < best.index)) { best = m; rule = r; }
        }
        if (!best) break;
        let end = best.index + best[0].length;
        if (rule.end)
            for (;;) {
                const esc = /\\./g; esc.lastIndex = end;
                rule.end.lastIndex = end;
                const e = rule.end.exec(line), x = esc.exec(line);
                if (x && e && x.index < e.index) { end = x.index + 2; continue; }
                end = e ? e.index + e[0].length : line.length;
                break;
            }
        for (let i = best.index; i < end; i++) found[i] = rule.name || "";
        let from = best.index;
        for (const k of Object.keys(rule.captures || {})) {
            from = line.indexOf(best[k], from);
            for (let i = from; i < from + best[k].length; i++) found[i] = rule.captures[k].name;
            from += best[k].length;
        }
        at = end;
    }
    return found;
}
const lines = fs.readFileSync("sample.cnn", "utf8").split("\n");
let wrong = 0;
for (const place of fs.readFileSync("places", "utf8").trim().split("\n")) {
    const [n, text, , scope] = place.split("|"), line = lines[n - 1];
    const got = scopes(line)[line.indexOf(text)];
    if (got !== scope) { wrong++; console.log(`${n}: '${text}' is ${got}, not ${scope}`); }
}
for (const word of fs.readFileSync("words", "utf8").trim().split("\n")) {
    const name = word.split(" ")[1], found = scopes(name), part = scopes("x" + name + "_y");
    if (!found[0] || found.some(s => s !== found[0])) { wrong++; console.log(`'${name}' has no scope`); }
    if (part.some(s => s)) { wrong++; console.log(`'x${name}_y' has the scope ${part[1]}`); }
}
process.exit(wrong ? 1 : 0);
JS
    node try.js "$textmate" >log 2>&1 || { fail "the TextMate grammar"; head -20 log; }
    for file in "$BUILD/editors/vscode/package.json" "$source/vscode/language-configuration.json"; do
        node -e 'JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))' "$file" || fail "${file##*/} is no JSON"
    done
    echo "TextMate: $(wc -l <places) places, $(wc -l <words) words"
elif command -v python3 >/dev/null; then
    python3 -c 'import json, re, sys
def walk(x):
    if isinstance(x, dict):
        for k, v in x.items():
            re.compile(v) if k in ("match", "begin", "end") else walk(v)
    elif isinstance(x, list):
        for v in x: walk(v)
walk(json.load(open(sys.argv[1])))' "$textmate" || fail "the TextMate grammar has expressions that are none"
fi
finish
