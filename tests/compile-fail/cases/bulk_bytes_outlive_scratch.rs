use flounder::bulk::BulkOwned;

flounder::flounder! {
    interface test {
        message frame(bulk data[4096]);
    };
}

fn bytes(data: &BulkOwned) -> &[u8] {
    let mut scratch = Vec::new();
    data.bytes(&mut scratch)
}

fn main() {}
