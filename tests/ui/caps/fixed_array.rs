flounder::flounder! {
    interface test {
        typedef cap both[2];
        message first(both b);
    };
}

fn main() {}
