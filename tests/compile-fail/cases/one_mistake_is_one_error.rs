flounder::flounder! {
    interface test {
        typedef enum { FOO, BAR } choice;
        typedef struct { unit32 x; } typo;
        message basic(uint32 arg, choice c);
        message str(string s);
        message give(give_away_cap c);
        rpc ask(in string s, out uint32 result);
    };
}

struct Server;

impl test::Rx for Server {
    fn basic(&mut self, _: &test::Binding, _: u32, _: test::Choice) {}
    fn str(&mut self, _: &test::Binding, _: &str) {}
    fn give(&mut self, _: &test::Binding, _: flounder::Cap) {}
    fn ask(&mut self, _: &test::Binding, _: &str, reply: test::AskReply) {
        reply.send(1);
    }
}

impl test::Rx<flounder::Shared> for Server {
    fn basic(&mut self, _: &test::Binding<flounder::Shared>, _: u32, _: test::Choice) {}
    fn str(&mut self, _: &test::Binding<flounder::Shared>, _: &str) {}
    fn give(&mut self, _: &test::Binding<flounder::Shared>, _: flounder::Cap) {}
    fn ask(&mut self, _: &test::Binding<flounder::Shared>, _: &str, reply: test::AskReply<flounder::Shared>) {
        reply.send(1);
    }
}

fn use_it(waitset: &flounder::Waitset, binding: &test::Binding) {
    drop(test::export(waitset, |_: &flounder::Peer| Ok(Server)));
    binding.tx_basic(1, test::Choice::Foo).unwrap().then(|| ());
    let answer: u32 = test::RpcClient::new(binding).ask("what?").unwrap();
    let handlers = test::RxVtbl { str: Some(Box::new(|_, s| println!("{s}"))), ..Default::default() };
    println!("{} {answer} {handlers:?}", test::INTERFACE.name);
}

fn main() {}
