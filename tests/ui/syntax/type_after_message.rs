flounder::flounder! {
    interface test {
        message first();
        typedef enum { A } late;
    };
}

fn main() {}
