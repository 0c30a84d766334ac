flounder::flounder! {
    interface test {
        typedef enum { FOO, BAR } choice;
        message basic(uint32 arg, choice c);
        message str(string s);
        rpc ask(in string s, out uint32 result);
    };
}

struct Server(std::rc::Rc<String>);

impl test::Rx<flounder::Shared> for Server {
    fn basic(&mut self, _: &test::Binding<flounder::Shared>, _: u32, _: test::Choice) {}
    fn str(&mut self, _: &test::Binding<flounder::Shared>, _: &str) {}
    fn ask(&mut self, _: &test::Binding<flounder::Shared>, _: &str, reply: test::AskReply<flounder::Shared>) {
        reply.send(1);
    }
}

fn serve(pool: &flounder::SharedWaitset) {
    drop(test::export(pool, |_| Ok(Server(Default::default()))));
}

fn main() {}
