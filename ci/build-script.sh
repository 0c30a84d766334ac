#!/usr/bin/env bash
# The packages of examples/build_script build without a network and run. A second build compiles nothing; a change of a
# shared interface file rebuilds those that depend on it, and no others; a mistake has the same place through a build script
# and through the macro.
#
# The script changes a copy of the packages, beside them, so that paths to the libraries stay the same.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
copy=$PWD/examples/.build_script
trap 'rm -rf "$copy"' EXIT
rm -rf "$copy"
cp -r examples/build_script "$copy"
# The versions of the other checks, which have downloaded them if this is not the first to run.
cp Cargo.lock "$copy"
cd "$copy"
cargo fetch --quiet --target "$(rustc -vV | sed -n 's/^host: //p')"

# build: builds, and prints the packages of this example that were compiled, in order; all of them if there is an argument.
build() {
    cargo build --offline --target-dir "$target" --message-format=json 2>"$copy/errors" |
        sed -n 's/.*"reason":"compiler-artifact".*"package_id":"\([^"]*\)".*"fresh":false.*/\1/p' |
        if [ $# -gt 0 ]; then cat; else grep '/examples/' || true; fi |
        sed 's|.*/||; s/#.*@/ /; s/[ #].*//' | sort -u | tr '\n' ' '
}

# expect WHAT WANTED GOT
expect() {
    if [ "$2" != "$3" ]; then
        cat "$copy/errors" >&2
        echo "$1: expected '$2', got '$3'" >&2
        exit 1
    fi
    echo "$1: ${3:-none}"
}

expect "a first build compiles" "client service types " "$(build)"
timeout 30 "$target/debug/area-client"
expect "a second build compiles" "" "$(build all)"

touch types/if/shapes.if
expect "after a change of the shared file" "client service types " "$(build all)"
began=$(date +%s%3N)
touch service/if/area.if
expect "after a change of the file of the service" "client service " "$(build all)"
echo "with the build script that takes $(($(date +%s%3N) - began)) ms"

# refused: fails to build.
refused() {
    if cargo build --offline --target-dir "$target" >"$copy/errors" 2>&1; then
        echo "a mistake is built" >&2
        exit 1
    fi
}

# place: builds, and prints the place of the mistake.
place() {
    refused
    grep -o '[^ (]*/service/if/area\.if:[0-9]*:[0-9]*' "$copy/errors" | sort -u
}

sed -i 's/include_flounder!("area")/include_flounder!("areas")/' service/src/lib.rs
refused
grep -q 'the build script has generated nothing of the name "areas"' "$copy/errors"
sed -i 's/in rectangle shape/in rectangel shape/' service/if/area.if
expect "the place of a mistake" "$copy/service/if/area.if:5:17" "$(place)"

# The same through the macro, which finds imports beside the file only.
sed -i 's|flounder::include_flounder!("areas");|flounder::flounder! { file = "if/area.if"; }|' service/src/lib.rs
rm service/build.rs
cp types/if/shapes.if service/if/
expect "the place that the macro shows" "$copy/service/if/area.if:5:17" "$(place)"
sed -i 's/rectangel/rectangle/' service/if/area.if
expect "with the macro, a build compiles" "client service " "$(build all)"
began=$(date +%s%3N)
touch service/if/area.if
expect "after a change of the file of the service" "client service " "$(build all)"
echo "with the macro that takes $(($(date +%s%3N) - began)) ms"
