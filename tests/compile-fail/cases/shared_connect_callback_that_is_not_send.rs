flounder::flounder! {
    interface test {
        message str(string s);
    };
}

#[derive(Clone)]
struct Server;

impl test::Rx<flounder::Shared> for Server {
    fn str(&mut self, _: &test::Binding<flounder::Shared>, _: &str) {}
}

fn serve(pool: &flounder::SharedWaitset) {
    let first = std::rc::Rc::new(Server);
    drop(test::export(pool, move |_| Ok(Server::clone(&first))));
}

fn main() {}
