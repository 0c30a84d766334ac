# Interfaces that come out of macros compile.
here=$(dirname "$0")
. "$here/../compile.sh"
package by_example 2024 <"$here/main.rs"
judge "$(run_cargo by_example check)" "all compile"
