flounder::flounder! {
    @symmetric interface r#match {
        #[rust_name = "Colour"]
        typedef enum { #[rust_name = "Rouge"] RED, GREEN } color_t;
        typedef struct { color_t type; } loop;
        message fn(loop struct, uint8 binding, uint8 reply);
        #[rust_name = "quit"]
        message exit(uint8 None, uint8 Ok);
        rpc async(in uint8 binding, in uint8 reply, out uint8 where);
    };
}

struct Server;

impl r#match::Rx for Server {
    fn r#fn(&mut self, _: &r#match::Binding, r#struct: r#match::Loop, _: u8, _: u8) {
        assert_eq!(r#struct.r#type, r#match::Colour::Rouge);
    }
    fn quit(&mut self, binding: &r#match::Binding, _: u8, _: u8) {
        drop(binding.tx_fn(r#match::Loop { r#type: r#match::Colour::Green }, 1, 2));
        drop(binding.tx_quit(1, 2));
    }
    fn r#async(&mut self, binding: &r#match::Binding, _: u8, _: u8, reply: r#match::AsyncReply) {
        drop(r#match::RpcClient::new(binding).async_async(1, 2));
        reply.send(1);
    }
}

fn main() {}
