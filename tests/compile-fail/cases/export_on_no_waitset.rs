flounder::flounder! {
    interface test {
        message str(string s);
    };
}

fn serve() {
    drop(test::export(&7, |_| Ok(test::RxVtbl::default())));
}

fn main() {}
