flounder::flounder! {
    interface test {
        call ask(uint32 n);
        response answer(uint32 n);
        message note();
        rpc add(in uint32 n, out uint32 sum);
    };
}

struct Client;

impl test::ClientRx for Client {
    fn answer(&mut self, _: &test::ClientBinding, _: u32) {}
    fn note(&mut self, _: &test::ClientBinding) {}
    fn ask(&mut self, _: &test::ClientBinding, _: u32) {}
}

fn main() {}
