#!/usr/bin/env bash
# Completions of cnnc and of a trainer: what they offer, tried in the shells that are here.
. "$(dirname "$0")/../run/common.sh"
export OMP_NUM_THREADS=1

cat >small.cnn <<'CNN'
model small
data { shapes classes=10, train=20, val=20, seed=0; scale 1/255 }
network { input 3x32x32; flatten; dense 10, softmax }
train { loss categorical_crossentropy; optimizer adam; metrics accuracy; epochs 1; batch 10; seed 1 }
CNN
build small CNNC_CFLAGS="-O0 ${CNNC_CFLAGS:-}" || finish
mkdir -p folder "with space"
touch other.txt "with space.cnn"
for shell in bash zsh fish; do
    expect 0 "$CNNC" --print-completion=$shell && cp out cnnc.$shell
    [ -s err ] && fail "--print-completion=$shell writes to stderr"
    expect 0 ./small --print-completion $shell && cp out small.$shell
done
expect 2 "$CNNC" --print-completion=nonsense
grep -q 'bash, zsh or fish' err || fail "the shells are not named: $(cat err)"
expect 2 ./small --print-completion nonsense
grep -q 'bash, zsh or fish' err || fail "the shells are not named: $(cat err)"
if [ -w /dev/full ]; then
    "$CNNC" --print-completion=bash >/dev/full 2>/dev/null && fail "a full disk goes unnoticed"
fi

# ---- bash
# shellcheck disable=SC1091
. ./cnnc.bash && . ./small.bash || fail "bash does not take its completions"

# offers COMMAND WANTED WORD...: what bash would show for the last word, sorted, between bars.
offers() {
    command=$1 wanted=$2
    shift 2
    COMP_WORDS=("$command" "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    "_$command" "$command" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    found=$(printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' '|')
    [ "$found" = "$wanted" ] || fail "bash, $command $*: '$found' instead of '$wanted'"
}
offers cnnc '--emit=|--error-growth=|--exact|--explain|' --e
offers cnnc 'ast|graph|model|plan|' --dump = ''
offers cnnc 'check|' --format = ''
offers cnnc 'folder|small.cnn|with space|with space.cnn|' --format ''
offers cnnc '--format|' --for
offers cnnc 'x86-64-v2|x86-64-v3|x86-64-v4|' --target = x
offers cnnc 'x86-64-v2|x86-64-v3|x86-64-v4|' --target x
offers cnnc 'folder|small.cnn|with space|with space.cnn|' ''
offers cnnc 'small.cnn|' --check s
offers cnnc 'other.txt|' -o ot
offers cnnc 'folder|' -I f
offers cnnc '|' -D w
offers small 'evaluate|' e
offers small 'predict|preview|' p
offers small '--reduce=|--resume|--rows=|--run-dir=|' --r
offers small '0|1|2|' --verbose = ''
offers small 'other.txt|' predict ot
# everything in --help is offered
for command in cnnc small; do
    program=./small
    [ $command = cnnc ] && program=$CNNC
    COMP_WORDS=($command --) COMP_CWORD=1
    "_$command"
    printf '%s\n' "${COMPREPLY[@]}" | sed 's/=$//' | sort >offered
    "$program" --help | grep -o -E '^ +(-., )?--[a-z-]+' | sed 's/.*--/--/' | sort >helped
    [ "$(wc -l <helped)" -gt 15 ] || fail "$command --help shows no options"
    diff offered helped || fail "bash: $command does not offer what --help lists"
done

# ---- zsh and fish, where they are installed
if command -v zsh >/dev/null; then
    for file in cnnc.zsh small.zsh; do
        zsh -n $file 2>err || fail "zsh does not take $file: $(cat err)"
    done
    # the words that _arguments is given, as zsh has read them
    cat >read.zsh <<'ZSH'
compdef() { print -r -- "compdef $*" }
_arguments() { print -rl -- "$@" }
source ./$1.zsh
_$1
ZSH
    zsh -f read.zsh cnnc >read && grep -q -x -- '--dump=\[.*\]:STAGE:(ast model graph plan)' read || fail "zsh: no words for --dump"
    grep -q -x 'compdef _cnnc cnnc' read || fail "zsh: cnnc has no completion"
    grep -q -x -- '\*--kernel=\[.*\]:LAYER\[\\:PASS\]=NAME: ' read || fail "zsh: --kernel: $(grep kernel read)"
    zsh -f read.zsh small >read && grep -q '^1:command:((train\\:' read || fail "zsh: no commands for a trainer"
fi
if command -v fish >/dev/null; then
    for command in cnnc small; do
        HOME=$scratch XDG_CONFIG_HOME=$scratch fish --no-config -c "source $command.fish; complete -C '$command --'" >offered 2>err
        [ -s err ] && fail "fish on $command.fish: $(head -n 2 err)"
        [ "$(grep -c -- '^--' offered)" -gt 15 ] || fail "fish offers only $(grep -c -- '^--' offered) options of $command"
    done
    HOME=$scratch XDG_CONFIG_HOME=$scratch fish --no-config -c "source cnnc.fish; complete -C 'cnnc --dump='" >offered
    grep -q -- '--dump=graph' offered || fail "fish offers no words for --dump"
fi
finish
