//! A proxy passes on what it has received, in both directions, with handlers that are futures (owned arguments).

flounder::flounder! {
    pub interface words "Words" {
        typedef struct { string s[9]; uint32 n; } item;
        message put(string all[n], item i, uint8 d[m]);
        rpc turn(in string all[n], in item i, out string back[n], out item i);
    };
}

pub struct Proxy(pub words::Binding);

impl words::AsyncRx for Proxy {
    async fn put(&self, _: &words::Binding, all: Vec<String>, i: words::Item, d: Vec<u8>) {
        let _ = self.0.send_put(&all, &i, &d).await;
    }

    async fn turn(
        &self,
        _: &words::Binding,
        all: Vec<String>,
        i: words::Item,
    ) -> Result<(Vec<String>, words::Item), flounder::CallbackError> {
        Ok(words::RpcClient::new(&self.0).turn_async(&all, &i).await?)
    }
}
