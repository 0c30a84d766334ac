# What a multi-threaded runtime spawns is `Send`.
here=$(dirname "$0")
. "$here/../compile.sh"
package send_futures 2024 <"$here/main.rs"
judge "$(run_cargo send_futures check)" "it compiles" '^error|: error'
