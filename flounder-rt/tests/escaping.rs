//! Text of a peer in errors.

use flounder_rt::{BindError, Refusal};

const TEXT: &str = "a\u{202e}\u{200b}\u{feff}\u{2028}\u{1b}[2J\n";
const SHOWN: &str = "a\\u{202e}\\u{200b}\\u{feff}\\u{2028}\\u{1b}[2J\\n";

#[test]
fn text_of_a_peer_is_escaped_where_an_error_shows_it() {
    let refusal = Refusal::new(1, TEXT);
    assert_eq!(refusal.reason, TEXT, "a program gets it as it came");
    let found = TEXT.to_owned();
    let errors = [
        refusal.to_string(),
        format!("{:?}", BindError::Refused(refusal)),
        BindError::Interface { expected: "b".to_owned(), found, messages_agree: false }.to_string(),
        BindError::UnknownDriver(TEXT.to_owned()).to_string(),
    ];
    for error in errors {
        assert!(error.contains(SHOWN), "{error}");
    }
}
