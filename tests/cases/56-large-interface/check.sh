# An interface of 400 messages and 200 calls with structs is checked in less than 30 s.
here=$(dirname "$0")
. "$here/../compile.sh"

interface() {
    echo 'flounder::flounder! { pub interface large "Large" { typedef struct { uint32 a; string b[16]; uint64 c; } item;'
    for i in $(seq 400); do echo "message m$i(uint32 a, item b, string c, uint8 d[n, 100]);"; done
    for i in $(seq 200); do echo "rpc r$i(in uint32 a, in string b, out item c, out uint64 d);"; done
    echo '}; }'
}

interface | package large 2024
# The first time flounder itself is checked, too.
run_cargo large check >/dev/null
touch "$packages/large/src/lib.rs"
began=$(date +%s%N)
output=$(run_cargo large check)
milliseconds=$((($(date +%s%N) - began) / 1000000))
if [ "$milliseconds" -lt 30000 ]; then
    judge "$output" "checked in $milliseconds ms" '^error|: error|warning'
else
    echo "RESULT fail $milliseconds ms to check"
fi
