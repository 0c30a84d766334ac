flounder::flounder! {
    interface test {
        message basic(uint32 arg);
    };
}

fn move_it(binding: &test::Binding<flounder::Shared>, ws: &flounder::Waitset) {
    drop(binding.change_waitset(ws));
}

fn main() {}
