//! Exports the interface files of this package.

fn main() -> Result<(), flounder_build::Error> {
    flounder_build::Config::new().export("if").compile()
}
