# No lint of rustdoc speaks, with private items and without.
here=$(dirname "$0")
. "$here/../compile.sh"
package described 2024 <"$here/main.rs"
export RUSTDOCFLAGS="-D warnings"
output=$(run_cargo described doc --no-deps && run_cargo described doc --no-deps --document-private-items)
judge "$output" "documentation is clean" '^src/lib.rs.*(error|warning)|^error'
