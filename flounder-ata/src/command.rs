//! Commands of an interface: which arguments of a call go into which registers, and where the response has its results.
//!
//! The front end has checked the annotations (`docs/ata.md`). What it reads here may still be made by hand, so that each
//! mistake is an error and none a panic.

use flounder_rt::interface::{AnnotationValue, Interface, MessageInfo, MessageKind};

use crate::error::{AttachError, Refusal};
use crate::memory::MAX_COMMAND_BYTES;
use crate::structures::Registers;

/// Bytes of a sector, unless the disk has larger ones, and of a block that no sector is (such as what IDENTIFY returns).
pub(crate) const SECTOR: u32 = 512;

/// An rpc as a command.
#[derive(Debug)]
pub(crate) struct Command {
    /// Name of the call.
    pub(crate) name: &'static str,
    command: Number,
    feature: Number,
    count: Option<Number>,
    lba: Option<Number>,
    is_lba48: bool,
    limits: Limits,
    pub(crate) data: Option<Data>,
    pub(crate) call: Half,
    pub(crate) response: Half,
    /// Offset of the status in the response.
    pub(crate) status_at: Option<usize>,
}

/// What fits into the registers.
#[derive(Debug)]
struct Limits {
    /// Largest value of `feature` and `count`.
    register: u64,
    /// Most sectors.
    sectors: u64,
    /// Number of addresses.
    addresses: u64,
}

const LBA28: Limits = Limits { register: 0xFF, sectors: 1 << 8, addresses: 1 << 28 };
const LBA48: Limits = Limits { register: 0xFFFF, sectors: 1 << 16, addresses: 1 << 48 };

/// One of the two messages of an rpc.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Half {
    /// Number of the message.
    pub(crate) number: u16,
    /// Words of the record.
    pub(crate) words: usize,
    /// Offset of the id of the call.
    pub(crate) id_at: usize,
}

/// The data of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Data {
    pub(crate) is_write: bool,
    /// Offset in the record of the call or of the response: of the bytes of a fixed array, or of the length of a dynamic one.
    pub(crate) at: usize,
    pub(crate) size: Size,
}

/// Size of the data.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Size {
    /// A fixed array of this many bytes.
    Fixed(u32),
    /// A dynamic array in the call, of at most this many bytes.
    Length(u32),
    /// A dynamic array in the response, of as many bytes as asked for, at most the second number.
    Asked(Number, u32),
}

/// A number of a command: a literal, or bits of a word of the call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    literal: u64,
    word: usize,
    shift: u32,
    /// 0 for a literal.
    mask: u64,
}

/// What is to be issued for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) registers: Registers,
    /// Bytes of data.
    pub(crate) bytes: u32,
}

/// An argument, as the canonical form has it.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: &'static str,
    ty: FieldType,
    at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldType {
    /// The id of the call.
    Id,
    /// A natural number of this many bytes.
    Number(usize),
    /// `errval`
    Status,
    /// An array of this many bytes.
    Fixed(u32),
    /// An array of at most this many bytes.
    Dynamic(u32),
}

impl FieldType {
    fn parse(ty: &str) -> Option<Self> {
        Some(match ty {
            "uint8" => Self::Number(1),
            "uint16" => Self::Number(2),
            "uint32" => Self::Number(4),
            "uint64" | "uintptr" => Self::Number(8),
            "errval" => Self::Status,
            _ => {
                let dynamic = ty.strip_prefix("uint8[;").map(|rest| (rest, true));
                let array = dynamic.or_else(|| Some((ty.strip_prefix("[uint8;")?, false)));
                let (length, is_dynamic) = array?;
                let length = length.strip_suffix(']')?.parse().ok()?;
                if is_dynamic { Self::Dynamic(length) } else { Self::Fixed(length) }
            }
        })
    }

    /// Returns size and alignment in the record.
    const fn place(self) -> (usize, usize) {
        match self {
            Self::Id | Self::Dynamic(_) => (4, 4),
            Self::Number(bytes) => (bytes, bytes),
            Self::Status => (8, 8),
            Self::Fixed(bytes) => (bytes as usize, 1),
        }
    }
}

/// The record of a message: its arguments with their offsets.
struct Record {
    fields: Vec<Field>,
    half: Half,
}

impl Record {
    /// Reads the canonical form of half an rpc; `None` if a type of it cannot be part of a command.
    fn of(info: &MessageInfo) -> Option<Self> {
        let args = info.form.split_once('(')?.1.strip_suffix(')')?;
        let mut fields = vec![Field { name: "", ty: FieldType::Id, at: 0 }];
        // No type of a command has a comma in its form.
        for arg in args.split(',').filter(|arg| !arg.is_empty()) {
            let (name, ty) = arg.split_once(':')?;
            fields.push(Field { name, ty: FieldType::parse(ty)?, at: 0 });
        }
        // Members of a record stand in order of falling alignment.
        let mut used = 0;
        for align in [8, 4, 2, 1] {
            for field in fields.iter_mut().filter(|field| field.ty.place().1 == align) {
                field.at = used;
                used += field.ty.place().0;
            }
        }
        let half = Half { number: info.number, words: used.div_ceil(8), id_at: fields[0].at };
        Some(Self { fields, half })
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields[1..].iter().find(|field| field.name == name)
    }
}

impl Command {
    /// Returns the commands of an interface, one for each call.
    pub(crate) fn all(interface: &'static Interface) -> Result<Vec<Self>, AttachError> {
        let mut commands = Vec::with_capacity(interface.messages.len() / 2);
        let mut messages = interface.messages.iter();
        while let Some(call) = messages.next() {
            let error = AttachError::NoCommand { message: call.name };
            let MessageKind::RpcCall { .. } = call.kind else { return Err(error) };
            let response = messages.next().ok_or(error)?;
            commands.push(Self::of(call, response).ok_or(error)?);
        }
        Ok(commands)
    }

    fn of(call: &'static MessageInfo, response: &'static MessageInfo) -> Option<Self> {
        let annotation = call.annotations.iter().find(|annotation| annotation.context == "ata")?;
        let (ins, outs) = (Record::of(call)?, Record::of(response)?);
        let param = |name| {
            let mut params = annotation.params.iter();
            params.find(|(param, _)| *param == name).map(|(_, value)| *value)
        };
        let number = |name| match param(name) {
            None => Some(None),
            Some(AnnotationValue::Number(value)) => Some(Some(Number::literal(value))),
            Some(AnnotationValue::Ident(argument)) => match ins.field(argument)? {
                Field { ty: FieldType::Number(bytes), at, .. } => {
                    Some(Some(Number::argument(*at, *bytes)))
                }
                _ => None,
            },
        };
        let data = match param("dma_arg") {
            None => None,
            Some(AnnotationValue::Number(_)) => return None,
            Some(AnnotationValue::Ident(name)) => Some(match (ins.field(name), outs.field(name)) {
                (Some(Field { ty: FieldType::Fixed(bytes), at, .. }), None) => {
                    Data { is_write: true, at: *at, size: Size::Fixed(*bytes) }
                }
                (Some(Field { ty: FieldType::Dynamic(max), at, .. }), None) => {
                    Data { is_write: true, at: *at, size: Size::Length(*max) }
                }
                (None, Some(Field { ty: FieldType::Fixed(bytes), at, .. })) => {
                    Data { is_write: false, at: *at, size: Size::Fixed(*bytes) }
                }
                (None, Some(Field { ty: FieldType::Dynamic(max), at, .. })) => {
                    let size = Size::Asked(number("dma_size")??, *max);
                    Data { is_write: false, at: *at, size }
                }
                _ => return None,
            }),
        };
        let status = outs.fields[1..].iter().find(|field| field.ty == FieldType::Status);
        let results =
            usize::from(status.is_some()) + usize::from(data.is_some_and(|data| !data.is_write));
        if results != outs.fields.len() - 1 {
            return None;
        }
        let is_lba48 = param("lba48") == Some(AnnotationValue::Number(1));
        Some(Self {
            name: call.name,
            command: number("command")??,
            feature: number("feature")?.unwrap_or(Number::literal(0)),
            count: number("count")?,
            lba: number("lba")?,
            is_lba48,
            limits: if is_lba48 { LBA48 } else { LBA28 },
            data,
            call: ins.half,
            response: outs.half,
            status_at: status.map(|status| status.at),
        })
    }

    /// Returns what is to be issued for a call whose record is `words`; sectors have `sector` bytes.
    pub(crate) fn task(&self, words: &[u64], sector: u32) -> Result<Task, Refusal> {
        let bytes = match self.data {
            None => 0,
            Some(data) => self.bytes(&data, words)?,
        };
        let Limits { register, sectors, addresses } = self.limits;
        let fits = |number: u64, max: u64| {
            if number <= max { Ok(number) } else { Err(Refusal::Register) }
        };
        // Where no sector is addressed, the unit is that of the command set.
        let unit = if self.lba.is_some() { sector } else { SECTOR };
        let mut moved = 0;
        let count = match self.count {
            Some(count) if bytes.is_multiple_of(2) => fits(count.value(words), register)?,
            None if bytes.is_multiple_of(unit) => {
                moved = u64::from(bytes / unit);
                if moved > sectors {
                    return Err(Refusal::Sectors);
                }
                // The largest number of sectors is written as 0.
                moved & register
            }
            _ => return Err(Refusal::Size),
        };
        let lba = self.lba.map_or(0, |lba| lba.value(words));
        if lba >= addresses || lba + moved > addresses {
            return Err(Refusal::Address);
        }
        Ok(Task {
            registers: Registers {
                command: fits(self.command.value(words), 0xFF)? as u8,
                feature: fits(self.feature.value(words), register)? as u16,
                count: count as u16,
                lba,
                is_lba48: self.is_lba48,
            },
            bytes,
        })
    }

    fn bytes(&self, data: &Data, words: &[u64]) -> Result<u32, Refusal> {
        let (bytes, max) = match data.size {
            Size::Fixed(bytes) => (u64::from(bytes), bytes),
            Size::Length(max) => (Number::argument(data.at, 4).value(words), max),
            Size::Asked(number, max) => (number.value(words), max),
        };
        match u32::try_from(bytes) {
            Ok(0) => Err(Refusal::Size),
            Ok(bytes) if bytes <= max && bytes as usize <= MAX_COMMAND_BYTES => Ok(bytes),
            _ => Err(Refusal::TooLong),
        }
    }
}

impl Number {
    const fn literal(literal: u64) -> Self {
        Self { literal, word: 0, shift: 0, mask: 0 }
    }

    /// Returns the number at this offset in the record of a call, with this many bytes: 1, 2, 4 or 8.
    pub(crate) const fn argument(at: usize, bytes: usize) -> Self {
        let (shift, mask) = ((at % 8 * 8) as u32, u64::MAX >> (64 - 8 * bytes));
        Self { literal: 0, word: at / 8, shift, mask }
    }

    /// Returns the number, of a call whose record is `words`; 0 if it is not there.
    #[inline]
    pub(crate) fn value(self, words: &[u64]) -> u64 {
        let word = words.get(self.word).copied().unwrap_or(0);
        self.literal | word >> self.shift & self.mask
    }
}
