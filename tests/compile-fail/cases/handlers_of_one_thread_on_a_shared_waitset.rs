flounder::flounder! {
    interface test {
        typedef enum { FOO, BAR } choice;
        message basic(uint32 arg, choice c);
        message str(string s);
        rpc ask(in string s, out uint32 result);
    };
}

struct Server;

impl test::Rx for Server {
    fn basic(&mut self, _: &test::Binding, _: u32, _: test::Choice) {}
    fn str(&mut self, _: &test::Binding, _: &str) {}
    fn ask(&mut self, _: &test::Binding, _: &str, reply: test::AskReply) {
        reply.send(1);
    }
}

fn connect(iref: flounder::Iref, pool: &flounder::SharedWaitset) {
    drop(test::bind(iref, pool, Server));
}

fn main() {}
