//! Messages as values, what an interface says of its messages, and the traits of the values in them.
//!
//! ```
//! use flounder::message::MessageBuffer;
//! use flounder::message::schema::{Schema, Value};
//! use flounder::flounder;
//!
//! flounder! { interface clock { message tick(uint64 ns); }; }
//!
//! let buffer = MessageBuffer::encode(&clock::Message::Tick { ns: 7 })?;
//! let words = buffer.words.clone();
//! assert_eq!(buffer.decode::<clock::Message>()?, clock::Message::Tick { ns: 7 });
//!
//! // Without the generated code, by the form of the message.
//! let tick = &clock::INTERFACE.messages[0];
//! assert_eq!((tick.name, tick.form), ("tick", "message tick(ns:uint64)"));
//! let value = Schema::of(tick)?.decode(&words, 0)?;
//! assert_eq!(value, Value::Struct(vec![Value::Unsigned(7)]));
//! # Ok::<(), flounder::Error>(())
//! ```

pub use flounder_rt::interface::{
    AnnotationInfo, AnnotationValue, ArgInfo, Direction, Interface, MessageInfo, MessageKind,
};
pub use flounder_rt::message::{MessageBuffer, MessageValue};
pub use flounder_rt::schema;
pub use flounder_rt::wire::{Decode, Encode, TypeForm};
