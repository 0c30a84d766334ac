flounder::flounder! {
    interface test {
        typedef enum { FOO, BAR } choice;
        message basic(uint32 arg, choice c);
        message str(string s);
        message give(give_away_cap c);
        rpc ask(in string s, out uint32 result);
    };
}

fn answer(reply: test::AskReply) {
    std::thread::spawn(move || reply.send(1));
}

fn main() {}
