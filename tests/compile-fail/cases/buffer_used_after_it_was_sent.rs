use flounder::bulk::BufferMut;

flounder::flounder! {
    interface test {
        message frame(bulk data[4096]);
    };
}

fn send(binding: &test::Binding, mut buffer: BufferMut) {
    drop(binding.tx_frame(buffer));
    buffer[0] = 1;
}

fn main() {}
