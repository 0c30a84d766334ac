# Sourced by the `check.sh` of the cases that are about compiling: a package that depends on flounder, and what cargo says of it.

cases=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
flounder=$(cd "$cases/../.." && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cases/target}
packages=$CARGO_TARGET_DIR/packages

# package NAME EDITION: makes a package; its `lib.rs` comes from the standard input.
package() {
    mkdir -p "$packages/$1/src"
    cat >"$packages/$1/src/lib.rs"
    cat >"$packages/$1/Cargo.toml" <<MANIFEST
[package]
name = "$1"
version = "0.0.0"
edition = "$2"
publish = false

[workspace]

[dependencies]
flounder = { path = "$flounder" }

[features]
extra = []

[profile.dev]
opt-level = 1
debug = "line-tables-only"
MANIFEST
    cp "$cases/Cargo.lock" "$packages/$1/Cargo.lock"
}

# run_cargo PACKAGE COMMAND ARGUMENT..: prints what cargo says, one line for each message, and its status.
run_cargo() {
    local package=$1 command=$2
    shift 2
    (cd "$packages/$package" && cargo "$command" --message-format short "$@" 2>&1)
    echo "status $?"
}

# judge OUTPUT GOOD [PATTERN]: prints the verdict about an output of `run_cargo`. It is good, with this detail, if cargo has
# succeeded each time and no line matches the pattern; otherwise the detail is which messages there are, the most frequent first.
judge() {
    local output=$1 good=$2 pattern=${3:-'^error|: error|: warning'}
    echo "$output" >&2
    if ! grep -qE "$pattern|^status [^0]" <<<"$output"; then
        echo "RESULT pass $good"
    else
        local messages
        messages=$(grep -E "$pattern" <<<"$output" | sed 's/^src.lib.rs:[0-9:]* //' | sort | uniq -c | sort -rn)
        echo "RESULT fail $(grep -c . <<<"$messages") kinds: $(head -8 <<<"$messages" | tr '\n' ';' | tr -s ' ')"
    fi
}
