//! No program can exclude a binding of its own from the rules about capabilities: that is for brokers.
use flounder::flounder;

flounder! {
    interface store {
        message put(give_away_cap file);
    };
}

fn exempt(binding: &store::Binding) {
    binding.exempt();
    flounder::export::exempt(binding);
    flounder::__private::exempt(binding);
}

fn main() {}
