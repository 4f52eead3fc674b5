# limits.awk - models that are much of one thing: awk -v kind=KIND -v n=N -f limits.awk
# tests/behave/limits.sh says which.

function many(text, count,   i) {
    for (i = 0; i < count; i++)
        printf "%s", text
}

function data(more) {
    print "data { images \"pictures\"; scale 1/255" more " }"
}

# Layers n times between an input and an end; the %d in them is their number.
function network(before, layers, after, count,   i) {
    print "network {\ninput 3x8x8" before
    for (i = 0; i < count; i++)
        printf layers "\n", i, i
    print after "\nflatten; dense 10, softmax\n}"
}

function train(more) {
    print "train { loss categorical_crossentropy; optimizer adam; epochs 1; batch 8" more " }"
}

# A model around something that stands in front of it.
function rest() {
    data("")
    network("", "", "", 0)
    train("")
}

function whole(before, layers, after, count) {
    data("")
    network(before, layers, after, count)
    train("")
}

BEGIN {
    # ---- text
    if (kind == "newlines") { many("\n", n); rest() }
    if (kind == "semicolons") { many(";", n); rest() }
    if (kind == "newlines_in_list") { printf "const a = ["; many("\n", n); print "1]"; rest() }
    if (kind == "newlines_after_comma") { data(""); printf "network { input 3x8x8; conv2d 4,"; many("\n", n)
        print "3x3; flatten; dense 10, softmax }"; train("") }
    if (kind == "newlines_after_section") { many("x { network" sprintf("%500s", "") "\n", n / 512) }
    if (kind == "comments") { many("# a comment\n", n / 12); rest() }
    if (kind == "comment") { printf "#"; many("c", n); print ""; rest() }
    if (kind == "spaces") { many(" ", n); rest() }
    if (kind == "word") many("w", n)
    if (kind == "digits") { printf "const a = 0."; many("7", n); print ""; rest() }
    if (kind == "number") { printf "const a = "; many("7", n); print "" }
    if (kind == "extent") { printf "const a = 3"; many("x3", n); print "" }
    if (kind == "string") { printf "data { images \""; many("s", n); print "\" }"; network("", "", "", 0); train("") }
    if (kind == "escapes") { printf "data { images \""; many("\\\\", n); print "\" }"; network("", "", "", 0); train("") }

    # ---- nested
    if (kind == "parentheses") { printf "const a = "; many("(", n); printf "1"; many(")", n); print "" }
    if (kind == "brackets") { printf "const a = "; many("[", n); printf "1"; many("]", n); print "" }
    if (kind == "braces") { many("a {", n); many("}", n) }
    if (kind == "branches_inside") { print "network { input 3x8x8"; many("add { branch { ", n); many("}}", n); print "}" }
    if (kind == "elses") { print "network { input 3x8x8"; many("if off { } else ", n); print "{ } }" }
    if (kind == "sum") { printf "const a = 1"; many(" + 1", n); print "" }
    if (kind == "powers") { printf "const a = 1"; many("^1", n); print "" }
    if (kind == "nots") { printf "const a = "; many("not ", n); print "on" }
    if (kind == "choices") { printf "const a = "; many("if on then 1 else ", n); print "1" }

    # ---- mistakes
    if (kind == "open") many("(\n", n)
    if (kind == "close") many(")\n", n)
    if (kind == "stray") many("$\n", n)
    if (kind == "quotes") many("\"abc\n", n)
    if (kind == "syntax") many("a b c = = 1\n", n)
    if (kind == "number_and_name") many("conv2d 3xk\n", n)
    if (kind == "unknown_layers") { print "network { input 3x8x8"; for (i = 0; i < n; i++) print "convv" i; print "}" }
    if (kind == "unknown_sections") for (i = 0; i < n; i++) print "convv" i " { }"
    if (kind == "unknown_names") { for (i = 0; i < 3000; i++) print "const a_rather_long_name_of_" i " = 1"
        printf "const b = [1"; for (i = 0; i < n; i++) printf ", a_rather_long_name_off_" i; print "]"; rest() }
    if (kind == "unknown_joined") { print "network { input 3x8x8"
        for (i = 0; i < 1500; i++) print "relu as a_rather_long_name_of_" i
        for (i = 0; i < n; i++) print "add a_rather_long_name_off_" i
        print "}" }
    if (kind == "same_constants") { many("const a = 1\n", n); rest() }
    if (kind == "same_layers") whole("", "relu as r", "", n)
    if (kind == "arguments") { printf "network { input 3x8x8; conv2d 4"; many(", 1", n); print " }" }

    # ---- things with names
    if (kind == "constants") { for (i = 0; i < n; i++) print "const a" i " = " i; rest() }
    if (kind == "constants_by_one_another") { print "const a0 = 1"
        for (i = 1; i < n; i++) print "const a" i " = a" i - 1 " - a" i - 1
        rest() }
    if (kind == "list") { printf "const a = [1"; many(",1", n); print "]"; rest() }
    if (kind == "list_of_names") { for (i = 0; i < 4000; i++) print "const a" i " = 1"
        printf "const b = [1"; many(",a0", n); print "]"; rest() }
    if (kind == "functions") { for (i = 0; i < n; i++) print "metric m" i "(y, p) = sum(y * p)"; rest() }
    if (kind == "functions_calling") { print "metric m0(y, p) = sum(y * p)"
        for (i = 1; i < n; i++) print "metric m" i "(y, p) = m" i - 1 "(y, p) + 1"
        rest() }
    if (kind == "functions_doubling") { print "metric m0(y, p) = sum(y * p)"
        for (i = 1; i < n; i++) print "metric m" i "(y, p) = m" i - 1 "(y, p) * m" i - 1 "(p, y)"
        rest() }
    if (kind == "functions_in_a_ring") {
        for (i = 0; i < n; i++) print "activation f" i "(x) = f" (i + 1) % n "(x) + 1"
        rest() }
    if (kind == "scales") { printf "data { images \"pictures\"\n"; many("scale 1\n", n); print "}"
        network("", "", "", 0); train("") }
    if (kind == "callbacks") { data(""); network("", "", "", 0)
        print "train { loss categorical_crossentropy; optimizer adam; epochs 1; batch 8"
        for (i = 0; i < n; i++) print "checkpoint \"c" i "\", monitor=val_loss"
        print "}" }
    if (kind == "frozen") { data(""); network("", "conv2d 1, 1x1 as c%d", "", 1000)
        printf "train { loss categorical_crossentropy; optimizer adam; epochs 1; batch 8; freeze c0"
        for (i = 0; i < n; i++) printf ",c" i % 1000
        print "}" }

    # ---- blocks
    if (kind == "blocks") { for (i = 0; i < n; i++) print "block b" i "(f=1) { conv2d f, 1x1 }"
        whole("", "b%d", "", n) }
    if (kind == "blocks_not_used") { for (i = 0; i < n; i++) print "block b" i "(f) { conv2d f, 1x1; b" i + 1 " f }"
        print "block b" n "(f) { conv2d f, 1x1 }"
        rest() }
    if (kind == "blocks_calling") { for (i = 0; i < n; i++) print "block b" i "(f) { conv2d f, 1x1; b" i + 1 " f }"
        print "block b" n "(f) { conv2d f, 1x1 }"
        whole("", "b0 4", "", 1) }
    if (kind == "blocks_doubling") { for (i = 0; i < n; i++) print "block b" i " { b" i + 1 "; b" i + 1 " }"
        print "block b" n " { }"
        whole("", "b0", "", 1) }
    if (kind == "blocks_in_a_ring") { for (i = 0; i < n; i++) print "block b" i " { b" (i + 1) % n " }"
        whole("", "b0", "", 1) }
    if (kind == "blocks_recursive") { for (i = 0; i < n; i++) print "block b" i " { b" i " }"
        whole("", "b%d", "", n) }
    if (kind == "block_parameters") { printf "block b(a=1"; for (i = 0; i < n; i++) printf ", a" i "=1"
        print ") { relu }"; whole("", "b", "", 1) }
    if (kind == "uses") { print "block b(f) { const g = f * 2; if g > 1 { } }"; whole("", "b %d + 1", "", n) }
    if (kind == "uses_named") { print "block b(f) { }"; whole("", "b %d as u%d", "", n) }
    if (kind == "uses_wrong") { print "block b(f) { conv2d f, 1x1 }"; whole("", "b -1 as u%d", "", n) }
    if (kind == "uses_apart") { print "block b(f) { conv2d f, 1x1 }"; whole("", "b -%d - 1", "", n) }
    if (kind == "rounds") whole("; repeat " n " {", "relu", "}", 1)
    if (kind == "rounds_inside") { data(""); print "network { input 3x8x8"
        for (i = 0; i < n && i < 400; i++) print "repeat 2 {"
        many("}", i); print "flatten; dense 10, softmax }"; train("") }
    if (kind == "names_inside") { data(""); print "network { input 3x8x8"; many("repeat 1 {", n); print "relu"
        many("}", n); print "\nflatten; dense 10, softmax }"; train("") }
    if (kind == "names_long") { data(""); print "network { input 3x8x8"; many("repeat 1 {", n); print "relu as a"
        many("}", n); print "\nflatten; dense 10, softmax }"; train("") }
    if (kind == "names_seen") { data(""); printf "network { input 3x8x8 as a; repeat 1 { repeat 1 {"
        for (i = 0; i < n; i++) print "from a"
        print "}}\nflatten; dense 10, softmax }"; train("") }
    if (kind == "frozen_blocks") { print "block b { repeat 1000 { conv2d 1, 1x1 as c } }"
        data(""); print "network { input 3x8x8; b as u; flatten; dense 10, softmax }"
        printf "train { loss categorical_crossentropy; optimizer adam; epochs 1; batch 8; freeze u"
        for (i = 0; i < n; i++) printf ",u.c"
        print "}" }

    # ---- metrics
    if (kind == "metrics") { for (i = 0; i < n; i++) print "metric m" i "(y, p) = sum(y * p)"
        data(""); network("", "", "", 0)
        printf "train { loss categorical_crossentropy; optimizer adam; epochs 1; batch 8; metrics m0"
        for (i = 1; i < n; i++) printf ", m" i
        print "}" }
    if (kind == "metrics_of_one") { print "metric m(y, p) = sum(y * p)"; data(""); network("", "", "", 0)
        printf "train { loss categorical_crossentropy; optimizer adam; epochs 1; batch 8; metrics m"
        for (i = 1; i < n; i++) printf ", m(name=\"m" i "\")"
        print "}" }
    if (kind == "parameters") { printf "metric m(y, p"; for (i = 0; i < n; i++) printf ", a" i "=1"
        print ") = sum(y * p)"; rest() }
    if (kind == "values") { print "metric m(y, p) {\na0 = y * p"
        for (i = 1; i < n; i++) print "a" i " = a" i - 1 " * a" i - 1 " * a" i - 1 " * a" i - 1
        print "return sum(a" n - 1 ")\n}"; data(""); network("", "", "", 0); train("; metrics m") }
    if (kind == "sums") { print "metric m(y, p) {\na0 = y * p"
        for (i = 1; i < n; i++) print "a" i " = a" i - 1 " * sum(a" i - 1 ")"
        print "return sum(a" n - 1 ")\n}"; data(""); network("", "", "", 0); train("; metrics m") }
    if (kind == "terms") { print "metric m(y, p) {\na0 = y"
        for (i = 1; i < n; i++) { printf "a" i " = a" i - 1; many(" + p", 150); print "" }
        print "return sum(a" n - 1 ")\n}"; data(""); network("", "", "", 0); train("; metrics m") }

    # ---- layers
    if (kind == "activations") whole("", "relu", "", n)
    if (kind == "named_layers") whole("", "relu as r%d", "", n)
    if (kind == "convolutions") whole("", "conv2d 4, 3x3, relu, padding=same", "", n)
    if (kind == "dense_layers") whole("; flatten", "dense 10, relu", "", n)
    if (kind == "batchnorms") whole("", "batchnorm relu", "", n)
    if (kind == "dropouts") whole("", "dropout 0.1", "", n)
    if (kind == "pools") whole("", "maxpool2d 3x3, stride=1, padding=same", "", n)
    if (kind == "residuals") whole("; conv2d 4, 1x1", "add { branch { conv2d 4, 3x3, padding=same; batchnorm relu\n" \
        "conv2d 4, 3x3, padding=same; batchnorm } branch { } }; relu", "", n / 6)
    if (kind == "concatenations") whole("; conv2d 4, 1x1", "concat { branch { batchnorm relu\n" \
        "conv2d 4, 3x3, padding=same } branch { } }", "", n / 4)
    if (kind == "squeezes") whole("; conv2d 4, 1x1", "multiply { branch { global_maxpool2d; dense 4, sigmoid } branch { } }\n" \
        "multiply { branch { } branch { relu } }", "", n / 5)
    if (kind == "branches") { data(""); print "network { input 3x8x8; add {"; many("branch { relu }\n", n)
        print "}; flatten; dense 10, softmax }"; train("") }
    if (kind == "empty_branches") { data(""); print "network { input 3x8x8; add {"; many("branch { }\n", n)
        print "}; flatten; dense 10, softmax }"; train("") }
    if (kind == "joined") { data(""); printf "network { input 3x8x8 as a; add a"; many(", a", n)
        print "\nflatten; dense 10, softmax }"; train("") }
    if (kind == "different_convolutions") { data(""); print "network { input 3x8x8"
        for (i = 0; i < n; i++) print "conv2d " i % 60 + 1 ", " i % 7 + 1 "x" i % 5 + 1 ", relu, padding=same"
        print "flatten; dense 10, softmax }"; train("") }

    # ---- sizes
    if (kind == "kernel") whole("; conv2d 4, 1x1", "conv2d 2, " n ", padding=same", "", 1)
    if (kind == "kernel_in_steps") whole("; conv2d 4, 1x1", "conv2d 2, " n ", stride=2, padding=same", "", 1)
    if (kind == "dilated_kernel") whole("; conv2d 4, 1x1", "conv2d 2, " n ", dilation=2, padding=same", "", 1)
    if (kind == "steps_of_kernel") { data(""); print "network { input 3x" n "x" n
        print "conv2d 2, 1x1; conv2d 2, 3x3, stride=" int(n / 4) ", padding=same; flatten; dense 10, softmax }"; train("") }
    if (kind == "average") whole("", "avgpool2d " n ", stride=1, padding=same", "", 1)
    if (kind == "positions") { data(""); print "network { input 3x" n "x" n
        print "conv2d 1, 1x1; locally_connected2d 1, 3x3; flatten; dense 10, softmax }"; train("") }
    if (kind == "channels") whole("", "conv2d " n ", 1x1, relu", "global_avgpool2d", 1)
}
