# No lint of rustc or clippy speaks in the crate of the user.
here=$(dirname "$0")
. "$here/../compile.sh"
package lints 2024 <"$here/main.rs"
judge "$(run_cargo lints clippy)" "no lint in the crate of the user" '^src/lib.rs.*(error|warning)|^error'
