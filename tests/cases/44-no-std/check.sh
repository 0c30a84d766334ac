# An interface compiles in a crate that is `no_std`, of the edition 2021.
here=$(dirname "$0")
. "$here/../compile.sh"
package no_std_user 2021 <"$here/main.rs"
judge "$(run_cargo no_std_user check)" "it compiles"
