//! Compiles the interface, which uses types of the package `shapes`.

fn main() -> Result<(), flounder_build::Error> {
    flounder_build::Config::new().files(["if/area.if"]).dependency("shapes").compile()
}
