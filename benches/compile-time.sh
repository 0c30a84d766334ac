#!/usr/bin/env bash
# Compile time of interfaces with 1, 100 and 1,000 messages of every shape (half of them belong to rpcs), each in a crate with
# a client that handles all of them.
#
#   benches/compile-time.sh [MESSAGES..]    other numbers of messages
#   benches/compile-time.sh --passes [..]   also where rustc spends the time of a release build, in seconds by the clock
#
# Macros are compiled without optimisation, as Cargo does by default, so their expansion takes its usual time.
set -euo pipefail
cd "$(dirname "$0")/.."

passes=
if [ "${1:-}" = --passes ]; then
    passes=1
    shift
fi
[ $# -gt 0 ] || set -- 1 100 1000

root=$PWD
crate=$(mktemp -d)
trap 'rm -rf "$crate"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/compile-time
# The output about passes is unstable. All crates are built with the same flags, or they would be built again.
export RUSTC_BOOTSTRAP=1
mkdir -p "$crate/src"
cat >"$crate/Cargo.toml" <<TOML
[package]
name = "large"
version = "0.1.0"
edition = "2024"

[workspace]

[dependencies]
flounder = { path = "$root" }
TOML
cp Cargo.lock "$crate"

# Prints an interface of this many messages, and a client. No two messages have the same maxima, and few the same types:
# messages with equal arguments would share code, which is not to be measured.
interface() {
    local numbers=(bool uint8 uint16 uint32 uint64) i n
    echo 'flounder::flounder! { pub interface large "Large" {'
    echo '    typedef enum { FOO, BAR, BAZ } choice;'
    echo '    typedef struct { uint32 x; uint64 y; choice c; string name[64]; } item;'
    for ((i = 0; i < $1; i += 4)); do
        n=$((i / 4))
        echo "    message plain$i(${numbers[n % 5]} a, ${numbers[n / 5 % 5]} b, ${numbers[n / 25 % 5]} c, choice d);"
        [ $((i + 1)) -lt "$1" ] || break
        echo "    message large$i(string s[$((2048 + n))], uint8 buf[len, 4096], item it, cap c);"
        [ $((i + 3)) -lt "$1" ] || break
        echo "    rpc ask$i(in string name[$((64 + n))], in item it, out uint32 code, out item back[n, $((16 + n))]);"
    done
    echo '}; }'
    echo 'pub fn client(iref: flounder::Iref, ws: &flounder::Waitset) -> flounder::binding::Bind<large::Binding> {'
    echo '    large::bind(iref, ws, large::RxVtbl::default())'
    echo '}'
}

# Compiles the crate alone and prints the processor time in milliseconds: other work on the machine changes
# it less than what a clock shows.
compile() {
    local TIMEFORMAT='%U %S'
    rm -rf "$CARGO_TARGET_DIR"/*/incremental/large-*
    touch "$crate/src/lib.rs"
    { time cargo "$@" --manifest-path "$crate/Cargo.toml" -- -Ztime-passes >"$crate/log" 2>&1; } 2>"$crate/time" || {
        cat "$crate/log" >&2
        exit 1
    }
    awk '{ printf "%d", ($1 + $2) * 1000 }' "$crate/time"
}

check=(rustc --quiet --profile check)
build=(rustc --quiet --release)
: >"$crate/src/lib.rs"
for round in 1 2; do
    # The first builds what it depends on.
    nothing=("$(compile "${check[@]}")" "$(compile "${build[@]}")")
done
printf '%9s %12s %25s %25s\n' messages expansion check 'release build'
for messages in "$@"; do
    interface "$messages" >"$crate/src/lib.rs"
    times=("$(compile "${check[@]}")" "$(compile "${build[@]}")")
    for i in 0 1; do
        times[i]=$((times[i] - nothing[i]))
    done
    expansion=$(awk '$1 == "time:" && $NF == "macro_expand_crate" { printf "%d", $2 * 1000 }' "$crate/log")
    printf '%9d %9d ms %10d ms %6d us each %9d ms %6d us each\n' "$messages" "$expansion" \
        "${times[0]}" $((times[0] * 1000 / messages)) "${times[1]}" $((times[1] * 1000 / messages))
    [ -z "$passes" ] || awk '$1 == "time:" && $2 > 0.02 { print "    " $2 " " $NF }' "$crate/log" | sort -rn
done
