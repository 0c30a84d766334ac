use flounder::bulk::Bulk;

flounder::flounder! {
    interface test {
        message frame(bulk data[4096]);
    };
}

struct Keeper(Vec<Bulk<'static>>);

impl test::Rx for Keeper {
    fn frame(&mut self, _: &test::Binding, data: Bulk<'_>) {
        self.0.push(data);
    }
}

fn main() {}
