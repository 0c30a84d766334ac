flounder::flounder! {
    interface test {
        message error();
    };
}

fn main() {}
