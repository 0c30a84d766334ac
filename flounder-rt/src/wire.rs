//! Values in words: the part of `flounder-wire` that programs and drivers use.

pub use flounder_wire::{
    BULK_PLACE, Bounded, BulkHead, BulkWay, Bulks, CapRefs, CapSlots, DEFAULT_MAX, Decode,
    DecodeError, Decoder, Encode, Gather, LINE, Limits, MAX_BULK, MAX_CAPS, MAX_NUMBER,
    MessageLimit, Plain, RUNTIME_MESSAGE, Reader, Record, Shape, TakeBounded, TooLong, TypeForm,
    copy_line, first_at, largest, max_items, nest, option_place, put_some, put_tag, record, total,
};
