flounder::flounder! {
    interface test {
        message first(bulk a[1], bulk b[1], bulk c[1], bulk d[1], bulk e[1], bulk f[1], bulk g[1], bulk h[1], bulk i[1]);
    };
}

fn main() {}
