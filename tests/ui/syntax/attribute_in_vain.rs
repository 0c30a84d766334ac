flounder::flounder! {
    interface test {
        #[inline]
        message first();
    };
}

fn main() {}
