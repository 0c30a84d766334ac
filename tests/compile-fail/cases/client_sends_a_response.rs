flounder::flounder! {
    interface test {
        call ask(uint32 n);
        response answer(uint32 n);
        message note();
        rpc add(in uint32 n, out uint32 sum);
    };
}

fn answer(binding: &test::ClientBinding) {
    binding.tx_note().unwrap().then(|| ());
    binding.tx_answer(1).unwrap().then(|| ());
}

fn main() {}
