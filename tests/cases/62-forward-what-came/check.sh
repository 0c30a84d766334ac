# What has come can be passed on as it is.
here=$(dirname "$0")
. "$here/../compile.sh"
package forwarding 2024 <"$here/main.rs"
judge "$(run_cargo forwarding check)" "it compiles" '^error|: error'
