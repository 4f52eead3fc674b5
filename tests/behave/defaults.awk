# defaults.awk - the defaults that a page promises, against those that --explain fills in.
#
#   awk -f defaults.awk EXPLAINED PROMISED
#
# EXPLAINED is what `cnnc --explain` prints of a model without options.  A line of PROMISED is: statement, option ("-": its
# first argument), value.  Prints what differs, then how many were compared.

function take(name, arguments,    list, i, n, pair) {
    n = split(arguments, list, /, */)
    for (i = 1; i <= n; i++) {
        sub(/ as [a-z0-9_]+$/, "", list[i])
        if (list[i] !~ /^[a-z_0-9]+=/) {
            if (!((name, "-") in have))
                have[name, "-"] = list[i]
            continue
        }
        pair = list[i]
        sub(/=.*/, "", pair)
        have[name, pair] = substr(list[i], length(pair) + 2)
    }
}

function is_number(x) { return x ~ /^-?[0-9.]+(e[-+]?[0-9]+)?$/ }

function same(promised, real) {
    if (is_number(promised) && is_number(real))
        return promised + 0 == real + 0
    return promised == real || promised "x" promised == real
}

FNR == NR {
    sub(/^ +/, "")
    sub(/ +#.*/, "")
    name = $1
    rest = substr($0, length(name) + 2)
    if (name == "optimizer" || name == "loss") {
        name = rest
        sub(/,.*/, "", name)
        sub(/^[a-z0-9_]+,? */, "", rest)
    }
    if (name == "metrics") {            # top_k(5), f1(average=macro)
        while (match(rest, /[a-z0-9_]+\([^)]*\)/)) {
            call = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
            name = call
            sub(/\(.*/, "", name)
            take(name, substr(call, length(name) + 2, length(call) - length(name) - 2))
        }
        next
    }
    take(name, rest)
    next
}

{
    compared++
    value = $3 == "window" ? have[$1, "-"] : $3
    option = ($1, $2) in have ? $2 : "-"        # --explain prints those that need no name without it
    if (!(($1, option) in have) || (option != $2 && have[$1, option] !~ /^[0-9.e+-]+$/))
        print $1 ": nothing is known of a default for '" $2 "'"
    else if (!same(value, have[$1, option]))
        print $1 ": '" $2 "' is promised to be " value ", and is " have[$1, option]
}

END { print compared + 0 " defaults" }
