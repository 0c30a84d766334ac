flounder::flounder! {
    interface test {
        typedef enum { FOO, BAR } choice;
        message basic(uint32 arg, choice c);
        message str(string s);
        message give(give_away_cap c);
        rpc ask(in string s, out uint32 result);
    };
}

fn give(binding: &test::Binding, cap: flounder::Cap) {
    drop(binding.tx_give(cap));
    drop(cap.try_clone());
}

fn main() {}
