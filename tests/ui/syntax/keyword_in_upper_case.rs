flounder::flounder! {
    interface test {
        MESSAGE first();
    };
}

fn main() {}
