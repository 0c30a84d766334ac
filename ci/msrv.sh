#!/usr/bin/env bash
# The code needs no newer Rust than the rust-version of Cargo.toml.
#
# 1. No package that a library or the command is built from declares a newer one. Packages that only tests are built from may:
#    loom needs Rust 1.95.
# 2. Clippy finds no use of std that is newer.
# 3. The oldest compiler builds the libraries and the command, where rustup has it (rustup toolchain install 1.88.0).
set -euo pipefail
cd "$(dirname "$0")/.."

oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# The packages of a build, as name@version.
built=$(cargo tree --workspace --all-features --edges normal,build --prefix none --locked |
    sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1@\2/p' | sort -u)
# Those that declare a rust-version: name@version rust-version. In the metadata, the id of a package comes before it.
declared=$(cargo metadata --format-version 1 --all-features --locked --filter-platform x86_64-unknown-linux-gnu |
    sed 's/"id":"/\n&/g' |
    sed -n 's/^"id":"[^"]*[#\/]\([^"#\/]*@[^"]*\)".*"rust_version":"\([^"]*\)".*/\1 \2/p' | sort -u)
if [ "$(wc -l <<<"$declared")" -lt 20 ]; then
    echo "hardly a package declares a rust-version: the metadata of cargo look different now" >&2
    exit 1
fi
newer=$(awk -v oldest="$oldest" '
    function number(version, part) { split(version, part, "."); return part[1] * 1000 + part[2] }
    FNR == NR { built[$1]; next }
    ($1 in built) && number($2) > number(oldest) { print "  " $1 " needs Rust " $2 }
' <(echo "$built") <(echo "$declared"))
if [ -n "$newer" ]; then
    echo "Cargo.toml promises Rust $oldest, but:" >&2
    echo "$newer" >&2
    exit 1
fi

cargo clippy --workspace --lib --bins --all-features --quiet -- -A clippy::all -D clippy::incompatible_msrv

if rustup toolchain list 2>/dev/null | grep -q "^$oldest\.0-"; then
    cargo "+$oldest.0" check --workspace --lib --bins --all-features --locked --quiet \
        --target-dir "${CARGO_TARGET_DIR:-target}/msrv"
else
    echo "Rust $oldest is not installed: it has not built the code" >&2
fi
