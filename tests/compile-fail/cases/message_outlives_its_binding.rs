flounder::flounder! {
    interface test {
        typedef enum { FOO, BAR } choice;
        message basic(uint32 arg, choice c);
        message str(string s);
        message give(give_away_cap c);
        rpc ask(in string s, out uint32 result);
    };
}

fn send(binding: test::Binding) -> flounder::Sent<'static> {
    binding.tx_str("hello").unwrap()
}

fn main() {}
