#!/usr/bin/env bash
# What depends on the target, for each one that this machine can run or emulate: random networks against the reference; with
# CNN_EVERY_TARGET=N (make bigcheck) N of them, and as a whole the tests whose result depends on the target: threads, runs that are
# broken off, optimizers, gradients, functions of the user's own, a network by itself.  CNN_TARGETS="generic aarch64": these
# alone.
. "$(dirname "$0")/../run/common.sh"
. "$TOP/tests/run/processors.sh"
case ${CNNC_CFLAGS-} in *sanitize*) skip "other tests run instrumented code, for this machine's own target" ;; esac

every=${CNN_EVERY_TARGET:-0} tests=networks
[ "$every" -eq 0 ] || tests="networks ${CNN_TARGET_TESTS:-reference threads resume gradcheck optimizers optimizers_resume l2 whiten own_functions inference
    early_update blocks single shares_of_threads zoo callbacks finetune guest schedules}"
for target in x86-64-v4 x86-64-v3 x86-64-v2; do     # the first is what all other tests are made with
    runs_here $target && best=$target && break
done
# without more said, what networks.sh has for none: the machine's own, generic and x86-64-v2 are there
untold="${best-} generic x86-64-v2"
[ -z "${CNN_TARGETS-}" ] && [ "$every" -eq 0 ] || untold=
ran=0 verifying=$BUILD/tests/behave/cnnc_verifying
for target in ${CNN_TARGETS:-x86-64-v4 x86-64-v3 x86-64-v2 aarch64 generic}; do
    case " $untold " in *" $target "*) continue ;; esac
    tree=$BUILD
    if ! runs_here $target; then
        [ $target = aarch64 ] || { echo "$target: not tested, this machine cannot run it"; continue; }
        lacks=$(cross_lacks)
        [ -z "$lacks" ] || { echo "$target: not tested, there is no $lacks"; continue; }
        cross_tree || continue
    fi
    tools_for $target "tools.$target"
    mkdir -p "tmp.$target"
    for test in $tests; do
        # it closes the standard files, with which the script that has a program emulated cannot begin
        [ "$test" != guest ] || runs_here $target || continue
        log=$test.$target.log
        CNN_VERIFYING=$verifying CNN_TARGET=$target CNNC_TARGET=$target CNN_NETWORKS=$every TMPDIR=$PWD/tmp.$target \
            BUILD=$tree CNNC=$PWD/tools.$target/cnnc CC=$PWD/tools.$target/cc CNNC_MK=$tree/cnnc.mk bash "$TOP/tests/behave/$test.sh" >"$log" 2>&1
        status=$?
        echo "$target, $test: $(tail -n 1 "$log")"
        case $status in
        0) ran=$((ran + 1)) ;;
        77) ;;
        *) fail "$target: $test"; sed 's/^/    /' "$log" | tail -40 ;;
        esac
    done
done
[ $ran -gt 0 ] || [ $failures -gt 0 ] || skip "this machine can neither run nor emulate any of them"
finish
