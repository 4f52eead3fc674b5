"""Which layers, options and words of the language stand in some text, and which of the compiler's tables stand in none.

A table is what `cnnc --list=WHAT --json` prints.  Of an argument each of its words has to be there, where one of them
is the default that may be by the argument's absence; of one that takes numbers a number that is not the default.
"""
import json
import os
import re
import subprocess


def table(what):
    """Name of each row: its arguments by name."""
    command = [os.environ.get("CNNC", "cnnc"), f"--list={what}", "--json"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return {row["name"]: {a["name"]: a for a in row["arguments"]} for row in json.loads(listed.stdout)}


def split(text, at):
    """Parts of a text between such characters outside of brackets and quotes."""
    parts, depth, quoted = [""], 0, False
    for c in text:
        quoted ^= c == '"'
        depth += 0 if quoted else (c in "([") - (c in ")]")
        if c in at and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts if part.strip()]


def statements(text):
    """Each statement's word and arguments, names and bodies taken off."""
    for line in split(re.sub(r"#.*", "", text), "\n;{}"):
        line = re.sub(r"\s+as\s+\S+$", "", line)
        word, _, rest = line.partition(" ")
        yield word.rstrip(","), split(rest, ",")


def is_call(argument, names):
    return re.split(r"[ (]", argument)[0] in names


def uses_of(row, arguments, activations):
    """Argument and value of each that a statement gives."""
    positional = [a for a in row.values() if a["positional"]]
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and "(" not in key:
            yield key.strip(), value.strip()
            continue
        fits = [a for a in positional if (a["type"] == "activation") == is_call(argument, activations)]
        if not fits:
            raise ValueError(f"no argument for '{argument}'")
        positional.remove(fits[0])
        yield fits[0]["name"], argument


def needed(rows):
    """(row, argument, word or "a value") that tests must have; (row, None, None) for the row itself."""
    wanted = {(name, None, None) for name in rows}
    for name, row in rows.items():
        for a in row.values():
            wanted |= {(name, a["name"], word) for word in a.get("words", [])}
            if "words" not in a or "least" in a:
                wanted.add((name, a["name"], "a value"))
    return wanted


def used(rows, texts, activations=(), ignored=()):
    """What of needed() the texts have.  A word that is neither a row, nor an activation, nor ignored is an error."""
    seen = set()
    for text in texts:
        for word, arguments in statements(text):
            if word not in rows:
                if word not in ignored and word not in activations:
                    raise ValueError(f"what is '{word}'?")
                continue
            given = dict(uses_of(rows[word], arguments, activations)) if rows[word] else {}     # joins take names
            seen.add((word, None, None))
            for name, a in rows[word].items():
                value, words = given.get(name, a.get("default")), a.get("words", [])
                if value in words:
                    seen.add((word, name, value))
                elif value is not None and (a["required"] or value != a.get("default")):
                    seen.add((word, name, "a value"))
    return seen


def used_activations(rows, texts):
    """Activations stand as statements, and among the arguments of others: NAME, or NAME(x)."""
    text = "\n".join(texts)
    flat = []
    for name in rows:
        calls = re.findall(rf"\b{name}\b(?:\(([^)]*)\)|[ ]*([0-9.]*))", text)
        flat += [f"{name} {call or plain}" for call, plain in calls]
    return used(rows, flat)


def shared(rows, entries):
    """Arguments that every row has are the same for all of them: once is enough."""
    return {("all", *entry[1:]) if entry[1] and all(entry[1] in row for row in rows.values()) else entry
            for entry in entries}


def missing(wanted, seen):
    return sorted(" ".join(part for part in entry if part) for entry in wanted - seen)
