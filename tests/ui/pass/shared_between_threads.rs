//! What a binding and a client cannot do, a shared binding and a shared client can.

flounder::flounder! {
    @symmetric interface test {
        message str(string s);
        rpc ask(in string s, out uint32 result);
    };
}

fn share(binding: &test::Binding) -> (test::Binding<flounder::Shared>, test::RpcClient<flounder::Shared>) {
    let shared = binding.shared();
    let client = test::RpcClient::new(&shared);
    (shared, client)
}

fn send(shared: &test::Binding<flounder::Shared>, client: test::RpcClient<flounder::Shared>) {
    std::thread::scope(|scope| {
        scope.spawn(|| drop(shared.send_str("from elsewhere").wait()));
    });
    std::thread::spawn(move || client.ask("what?"));
}

fn spawn<F: Future<Output: Send> + Send + 'static>(_: F) {}

fn futures(shared: test::Binding<flounder::Shared>, client: test::RpcClient<flounder::Shared>) {
    spawn(async move {
        shared.send_str("first").await?;
        client.ask_async("what?").await
    });
}

fn main() {
    let _ = (share, send, futures);
}
