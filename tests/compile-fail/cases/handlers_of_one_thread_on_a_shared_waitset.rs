flounder::flounder! {
    interface test {
        typedef enum { FOO, BAR } choice;
        message basic(uint32 arg, choice c);
        message str(string s);
        rpc ask(in string s, out uint32 result);
    };
}

struct Client;

impl test::ClientRx for Client {
    fn basic(&mut self, _: &test::ClientBinding, _: u32, _: test::Choice) {}
    fn str(&mut self, _: &test::ClientBinding, _: &str) {}
}

fn connect(iref: flounder::Iref, pool: &flounder::SharedWaitset) {
    drop(test::bind(iref, pool, Client));
}

fn main() {}
