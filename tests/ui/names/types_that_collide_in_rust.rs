flounder::flounder! {
    interface test {
        typedef enum { A } my_type;
        typedef enum { A } myType;
        message first(my_type a);
    };
}

fn main() {}
