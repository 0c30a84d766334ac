flounder::flounder! {
    interface test {
        typedef word uint32;
        message first(word w);
    };
}

fn main() {}
