flounder::flounder! {
    interface test {
        message first(cap c0, cap c1, cap c2, cap c3, cap c4, cap c5, cap c6, cap c7, cap c8, cap c9, cap c10, cap c11, cap c12, cap c13, cap c14, cap c15, cap c16, cap c17, cap c18, cap c19, cap c20, cap c21, cap c22, cap c23, cap c24, cap c25, cap c26, cap c27, cap c28, cap c29, cap c30, cap c31, cap c32, cap c33, cap c34, cap c35, cap c36, cap c37, cap c38, cap c39, cap c40, cap c41, cap c42, cap c43, cap c44, cap c45, cap c46, cap c47, cap c48, cap c49, cap c50, cap c51, cap c52, cap c53, cap c54, cap c55, cap c56, cap c57, cap c58, cap c59, cap c60, cap c61, cap c62, cap c63, cap c64);
    };
}

fn main() {}
