#!/usr/bin/env bash
# Every package that is published can be packed: its files, readme, licences and metadata are there, and the packages that it
# depends on are packed as well. With FLOUNDER_VERIFY=1 each package is built from its archive, too.
#
# The script works on a copy whose packages may be published: only then does cargo resolve them among each other.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath "${CARGO_TARGET_DIR:-target}")
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference -t "$copy"
cd "$copy"
sed -i 's/^publish = false$/publish = true/' Cargo.toml

# The others say publish = false themselves, or are below examples/ and tests/.
packages=(-p flounder)
for manifest in flounder-*/Cargo.toml; do
    grep -q '^publish = false' "$manifest" || packages+=(-p "$(dirname "$manifest")")
done

verify=--no-verify
[ -z "${FLOUNDER_VERIFY:-}" ] || verify=
cargo package $verify --locked --allow-dirty --target-dir "$target/package-check" "${packages[@]}" 2>&1 |
    grep -v '^warning: ignoring \(test\|example\|benchmark\) '

for crate in "$target"/package-check/package/*.crate; do
    files=$(tar -tf "$crate")
    for file in README.md LICENSE-APACHE LICENSE-MIT Cargo.toml; do
        if ! grep -q "^[^/]*/$file$" <<<"$files"; then
            echo "$(basename "$crate") has no $file" >&2
            exit 1
        fi
    done
done
