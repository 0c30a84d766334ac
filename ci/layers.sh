#!/usr/bin/env bash
# No import runs upwards: neither between the crates of the workspace nor between the layers of a crate. The check then plants
# such imports in a copy, and requires that each is found.
set -euo pipefail
cd "$(dirname "$0")/.."

# The crates, from the bottom up, each with the crates that it may use.
crates='
flounder-wire:
flounder-idl:
flounder-codegen:     flounder-idl
flounder-build:       flounder-idl flounder-codegen
flounder-macros:      flounder-idl flounder-codegen
flounder-rt:          flounder-wire
flounder-conformance: flounder-wire flounder-rt
flounder-drivers:     flounder-wire flounder-rt
flounder-ata:         flounder-rt
flounder-monitor:     flounder-wire flounder-rt flounder-drivers flounder-macros
flounder:             flounder-wire flounder-rt flounder-drivers flounder-macros flounder-monitor
flounder-bench:       *
flounder-cli:         *
'

# The layers of a crate, from the bottom up: each is a folder or a file of its src, and imports only itself and those before.
# What lib.rs exports from a layer belongs to that layer. private.rs and lib.rs are above all of them.
layers='
flounder-rt: wire process message waitset transport binding broker
'

# check TREE: prints the imports that run upwards, and fails if there are any.
check() {
    local tree=$1 name members member file
    members=$(awk '/^members/ { on = 1; next } on && /]/ { exit } on' "$tree/Cargo.toml" | tr -d '" ,' | grep '^flounder' || true)
    {
        for member in $members .; do
            name=$member
            [ "$name" = . ] && name=flounder
            file=$tree/$member/Cargo.toml
            # Tests may use crates above: only [dependencies] counts.
            awk -v name="$name" -v crates="$crates" '
                BEGIN {
                    count = split(crates, lines, "\n")
                    for (i = 1; i <= count; i++) {
                        if (split(lines[i], parts, ":") < 2) continue
                        if (parts[1] == name) { listed = 1; allowed = " " parts[2] " " }
                    }
                    if (!listed) print name ": the list in ci/layers.sh lacks this crate"
                }
                /^\[/ { on = /^\[dependencies/ }
                on && /^flounder/ {
                    used = $1
                    sub(/[.=].*/, "", used)
                    if (allowed !~ /\*/ && index(allowed, " " used " ") == 0) {
                        print FILENAME ":" FNR ": " name " may not use " used
                    }
                }
            ' "$file"
        done
        while IFS=: read -r name order; do
            [ -n "$name" ] || continue
            imports "$tree/$name/src" "$order"
        done <<<"$layers"
    } >"$found"
    sed "s|^$tree/||" "$found"
    [ ! -s "$found" ]
}

# imports SRC ORDER: prints the imports between the layers of one crate that run upwards.
imports() {
    local src=$1 order=$2
    # lib.rs first: it says which names of the crate's root belong to which layer.
    awk -v src="$src" -v order="$order" '
        function layer_of(name, depth) {
            while (depth++ < 4 && !(name in rank) && name in from) name = from[name]
            return name
        }
        # The parts of a path list: {a::b, c} gives a and c.
        function heads(list, into,    i, c, depth, word, count, fresh) {
            count = depth = 0; word = ""; fresh = 1
            for (i = 1; i <= length(list); i++) {
                c = substr(list, i, 1)
                if (c == "{") { depth++; if (depth == 1) { fresh = 1; continue } }
                if (c == "}") { depth--; if (depth == 0) break }
                if (depth <= 1 && c == ",") { if (word != "") into[++count] = word; word = ""; fresh = 1; continue }
                if (fresh && c ~ /[A-Za-z0-9_]/) word = word c
                else if (fresh && word != "") fresh = 0
            }
            if (word != "") into[++count] = word
            return count
        }
        function report(name,    layer) {
            if (name == "self" || name == "super" || name == "crate" || name == "__private") return
            layer = layer_of(name)
            if (!(layer in rank)) { print FILENAME ":" line ": crate::" name " belongs to no layer"; return }
            if (rank[layer] > rank[mine]) print FILENAME ":" line ": " mine " imports " layer " (" name ")"
        }
        # Every path of the text that begins with `prefix`.
        function scan(text, prefix,    at, rest, before, n, i, names) {
            while ((at = index(text, prefix)) > 0) {
                before = at > 1 ? substr(text, at - 1, 1) : ""
                rest = substr(text, at + length(prefix))
                text = rest
                if (before ~ /[A-Za-z0-9_$:]/) continue
                if (substr(rest, 1, 1) == "{") {
                    n = heads(rest, names)
                    for (i = 1; i <= n; i++) report(names[i])
                } else if (match(rest, /^[A-Za-z0-9_]+/)) {
                    # A macro is at the root wherever it is defined.
                    if (substr(rest, RLENGTH + 1, 1) != "!") report(substr(rest, 1, RLENGTH))
                }
            }
        }
        function statement(text,    list, layer, n, i, names, up, k) {
            if (is_lib) {
                if (match(text, /use [a-z_]+::/)) {
                    layer = substr(text, RSTART + 4, RLENGTH - 6)
                    list = substr(text, RSTART + RLENGTH)
                    if (layer ~ /^flounder_/ || layer == "core" || layer == "std") layer = "wire"
                    n = substr(list, 1, 1) == "{" ? heads(list, names) : heads("{" list "}", names)
                    for (i = 1; i <= n; i++) if (!(names[i] in rank)) from[names[i]] = layer
                }
                return
            }
            scan(text, "crate::")
            # `super` often enough leaves the layer; in a module inside of the file that needs one more.
            up = ""
            for (k = 1; k <= depth; k++) up = up "super::"
            if (index(text, up)) {
                list = text
                while ((i = index(list, up)) > 0) {
                    list = substr(list, i + length(up))
                    while (substr(list, 1, 7) == "super::") list = substr(list, 8)
                    if (match(list, /^[a-z_]+/) && substr(list, 1, RLENGTH) in rank) report(substr(list, 1, RLENGTH))
                }
            }
        }
        BEGIN {
            count = split(order, names0, " ")
            for (i = 1; i <= count; i++) rank[names0[i]] = i
        }
        FNR == 1 {
            text = ""
            path = substr(FILENAME, length(src) + 2)
            is_lib = path == "lib.rs"
            skip = path == "private.rs"
            mine = path
            sub(/\/.*/, "", mine)
            sub(/\.rs$/, "", mine)
            depth = gsub(/\//, "/", path) + 1
            if (path ~ /\/mod\.rs$/) depth--
            if (!is_lib && !skip && !(mine in rank)) print FILENAME ": " mine " belongs to no layer"
        }
        skip || (!is_lib && !(mine in rank)) { next }
        {
            code = $0
            sub(/\/\/.*/, "", code)
            if (text == "") line = FNR
            text = text " " code
            # A list in braces is one import, over as many lines as it has.
            if (text ~ /(^| )use [^;]*$/) next
            gsub(/[ \t]+/, " ", text)
            gsub(/:: /, "::", text)
            statement(text)
            text = ""
        }
    ' "$src/lib.rs" $(find "$src" -name '*.rs' ! -path "$src/lib.rs" | sort)
}

found=$(mktemp)
copy=$(mktemp -d)
trap 'rm -rf "$found" "$copy"' EXIT

check . || { echo "imports that run upwards" >&2; exit 1; }

# planted FILE TEXT: the check fails when TEXT is added to FILE.
planted() {
    local file=$1 text=$2
    rm -rf "$copy"
    mkdir "$copy"
    cp Cargo.toml "$copy"
    for name in flounder-*/ src; do
        mkdir -p "$copy/$name"
        cp -r "$name/." "$copy/$name"
    done
    printf '%s\n' "$text" >>"$copy/$file"
    if check "$copy" >"$copy/report"; then
        echo "ci/layers.sh does not find '$text' in $file" >&2
        exit 1
    fi
    echo "found: $(head -n 1 "$copy/report")"
}

planted flounder-rt/src/waitset/timers.rs 'use crate::binding::RawBinding;'
planted flounder-rt/src/waitset/timers.rs 'use crate::{export::Broker, cap::Cap};'
planted flounder-rt/src/process/fork.rs 'use super::super::transport::notify;'
planted flounder-rt/src/transport/policy.rs 'fn planted() { crate::bind::Bind::<()>::driver; }'
planted flounder-rt/src/message/mod.rs 'use crate::{
    cap::Cap,
    TxError,
};'
planted flounder-rt/src/stray.rs 'use crate::binding::RawBinding;'
planted flounder-rt/Cargo.toml '[dependencies]
flounder-drivers.workspace = true'
planted flounder-idl/Cargo.toml '[dependencies]
flounder-codegen.workspace = true'
planted flounder-wire/Cargo.toml '[dependencies]
flounder-rt = { path = "../flounder-rt" }'
