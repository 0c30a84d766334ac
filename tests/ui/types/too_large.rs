flounder::flounder! {
    interface test {
        typedef uint64 row[4096];
        typedef row table[4096];
        message first(table t);
    };
}

fn main() {}
