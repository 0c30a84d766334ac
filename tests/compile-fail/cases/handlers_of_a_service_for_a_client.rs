flounder::flounder! {
    interface test {
        call ask(uint32 n);
        response answer(uint32 n);
        message note();
        rpc add(in uint32 n, out uint32 sum);
    };
}

struct Service;

impl test::Rx for Service {
    fn ask(&mut self, _: &test::Binding, _: u32) {}
    fn note(&mut self, _: &test::Binding) {}
    fn add(&mut self, _: &test::Binding, n: u32, reply: test::AddReply) {
        reply.send(n);
    }
}

fn bind(waitset: &flounder::Waitset, iref: flounder::Iref) {
    let _ = test::bind(iref, waitset, Service);
}

fn main() {}
