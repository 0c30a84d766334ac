//! Messages as values, what an interface says of its messages, and the traits of the values in them.
//!
//! ```
//! use flounder::message::MessageBuffer;
//! use flounder::flounder;
//!
//! flounder! { interface clock { message tick(uint64 ns); }; }
//!
//! let buffer = MessageBuffer::encode(&clock::Message::Tick { ns: 7 })?;
//! assert_eq!(buffer.decode::<clock::Message>()?, clock::Message::Tick { ns: 7 });
//! assert_eq!(clock::INTERFACE.messages[0].name, "tick");
//! # Ok::<(), flounder::Error>(())
//! ```

pub use flounder_rt::interface::{
    AnnotationInfo, AnnotationValue, ArgInfo, Interface, MessageInfo, MessageKind,
};
pub use flounder_rt::message::{MessageBuffer, MessageValue};
pub use flounder_rt::wire::{Decode, Encode, TypeForm};
