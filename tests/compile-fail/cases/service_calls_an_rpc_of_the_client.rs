flounder::flounder! {
    interface test {
        call ask(uint32 n);
        response answer(uint32 n);
        message note();
        rpc add(in uint32 n, out uint32 sum);
    };
}

fn add(binding: &test::Binding) {
    let _ = test::RpcClient::new(binding).add(1);
}

fn main() {}
