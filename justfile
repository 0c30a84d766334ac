# `just` lists the tasks; each is one command that also works without just.

default:
    @just --list

# everything that must pass
all:
    bash .ci/run

test:
    cargo test --workspace

# one script of ci/: just check loom
check name:
    bash ci/{{name}}.sh

fmt:
    cargo fmt --all

clippy:
    bash ci/clippy.sh

docs:
    bash ci/docs.sh

loom:
    bash ci/loom.sh

differential:
    bash ci/differential.sh

examples:
    bash ci/examples.sh

instructions:
    bash ci/instructions.sh

# accept new expansions
bless:
    FLOUNDER_BLESS=1 cargo test -p flounder-codegen --test golden

# accept new compiler messages
bless-ui:
    FLOUNDER_BLESS=1 cargo test --test ui
    TRYBUILD=overwrite cargo test -p flounder-compile-fail

# the drivers on this machine, beside what hardware and kernel need
bench:
    cargo run --release -p flounder-cli -- bench
