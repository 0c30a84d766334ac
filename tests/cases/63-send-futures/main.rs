//! A multi-threaded runtime spawns what waits: lookups, registrations, calls and sends of shared bindings; the client is kept in
//! a state that is `Send + Sync + Clone + 'static` (axum, actix, tonic), in a `static`, behind `dyn`.
#![allow(dead_code)]

use std::sync::{Arc, OnceLock};

flounder::flounder! {
    pub interface store "Store" {
        message put(string k, uint8 v[n]);
        message give(cap c);
        rpc get(in string k, out uint8 v[n], out cap c);
    };
}

fn spawn<F: Future + Send + 'static>(_: F)
where
    F::Output: Send + 'static,
{
}

#[derive(Clone)]
struct State {
    store: store::RpcClient<flounder::Shared>,
    line: store::Binding<flounder::Shared>,
    any: Arc<dyn std::any::Any + Send + Sync>,
}

static CLIENT: OnceLock<store::RpcClient<flounder::Shared>> = OnceLock::new();

fn is<T: Send + Sync + Clone + Unpin + 'static + std::fmt::Debug>() {}

fn check(s: State, c: flounder::Cap) {
    is::<store::RpcClient<flounder::Shared>>();
    is::<store::Binding<flounder::Shared>>();
    is::<flounder::Iref>();
    is::<flounder::Peer>();
    is::<flounder::RpcError>();
    is::<flounder::BindError>();
    spawn(flounder::nameservice::lookup_with_owner("x"));
    spawn(flounder::nameservice::blocking_lookup_with_owner("x"));
    spawn(flounder::nameservice::list());
    spawn(flounder::nameservice::unregister("x"));
    let t = s.clone();
    spawn(async move {
        let (v, c) = t.store.get_async("k").await?;
        t.line.send_put("k", &v).await?;
        t.line.send_give(&c).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(v.len())
    });
    let t = s.clone();
    spawn(async move {
        let k = String::from("k");
        let call = t.store.get_async(&k);
        drop(k);
        call.await.is_ok()
    });
    let t = s;
    spawn(async move {
        let many: Vec<_> = (0..9).map(|_| t.store.get_async("k")).collect();
        for one in many {
            let _ = one.await;
        }
        drop(c);
    });
    let _ = CLIENT.get();
}
