flounder::flounder! {
    interface test {
        message first(bulk pixels[1073741825]);
    };
}

fn main() {}
