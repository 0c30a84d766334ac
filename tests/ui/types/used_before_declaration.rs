flounder::flounder! {
    interface test {
        typedef struct { late l; } early;
        typedef enum { A } late;
        message first(early e);
    };
}

fn main() {}
