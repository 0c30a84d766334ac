//! The rules of the context `ata`, which makes an rpc a command of a disk (`docs/ata.md`). Other contexts are free.

use crate::ast::{self, Annotation, Direction, Int, Name, Value, Word};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::model::{Builtin, Ty, TypeKind};
use crate::resolve::{Arg, Interface, Message, Scope};

/// The context.
const CONTEXT: &str = "ata";

/// Name of the result that says how the command ended.
const STATUS: &str = "status";

/// Every parameter, and what its value is.
const PARAMS: [(&str, Expects); 8] = [
    ("command", Expects::Number),
    ("feature", Expects::Number),
    ("count", Expects::Number),
    ("lba", Expects::Number),
    ("lba48", Expects::Flag),
    ("dma_arg", Expects::Data),
    ("dma_size", Expects::Number),
    ("is_write", Expects::Flag),
];

/// What the value of a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// A number, or an `in` argument that is one.
    Number,
    /// 0 or 1.
    Flag,
    /// An argument of bytes.
    Data,
}

/// Annotations of the context `ata` must describe a command that the arguments of the rpc can be.
pub(super) fn check(interface: &Interface<'_>, diagnostics: &mut Diagnostics) {
    for message in &interface.messages {
        let mut annotations =
            message.ast.annotations.iter().filter(|annotation| annotation.context.text == CONTEXT);
        let Some(annotation) = annotations.next() else { continue };
        for second in annotations {
            let text = "an rpc is one command, and this is a second annotation `ata`";
            diagnostics.push(
                Diagnostic::new(Code::AtaDuplicateParam, second.context.place, text)
                    .also(annotation.context.place, "the first one")
                    .help("remove one of them"),
            );
        }
        if message.ast.word != Word::Rpc {
            let text = format!("`{}` is no rpc", message.ast.name.text);
            diagnostics.push(
                Diagnostic::new(Code::AtaNotRpc, annotation.context.place, text)
                    .note("a command ends with a response, which only an rpc has")
                    .help("declare an `rpc`, or remove the annotation"),
            );
        } else if !message.ast.damaged {
            Check { scope: &interface.scope, message, annotation, diagnostics }.run();
        }
    }
}

/// The check of one rpc.
struct Check<'a, 'd> {
    scope: &'a Scope,
    message: &'a Message<'a>,
    annotation: &'a Annotation,
    diagnostics: &'d mut Diagnostics,
}

/// The argument that is the data of the command.
struct Data<'a> {
    name: &'a Name,
    direction: Direction,
    /// `None` if the type is unknown, which has been reported, or is none of bytes.
    size: Option<Size>,
}

/// Size of an argument of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// That of a fixed array.
    Fixed(u64),
    /// That of a dynamic array, with its maximum.
    Dynamic(u64),
}

impl<'a> Check<'a, '_> {
    fn run(mut self) {
        self.check_params();
        let data = self.check_data();
        self.check_command();
        self.check_numbers();
        self.check_size(data.as_ref());
        self.check_direction(data.as_ref());
        // A parameter that names no argument may have meant any of them.
        if !self.names_no_argument() {
            self.check_results(data.as_ref());
            self.check_use();
        }
    }

    /// Returns the value of a parameter, with the place of its name.
    fn param(&self, name: &str) -> Option<(&'a Name, &'a Value)> {
        let found = self.annotation.params.iter().find(|(param, _)| param.text == name);
        found.map(|(param, value)| (param, value))
    }

    /// Returns the value of a flag; `None` if it is absent, or no flag.
    fn flag(&self, name: &str) -> Option<bool> {
        match self.param(name) {
            Some((_, Value::Number(Int { value: Some(value @ 0..=1), .. }))) => Some(*value == 1),
            _ => None,
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Each parameter must be known, and be given once.
    fn check_params(&mut self) {
        let params = &self.annotation.params;
        for (i, (name, value)) in params.iter().enumerate() {
            let Some((_, expects)) = PARAMS.iter().find(|(known, _)| name.text == *known) else {
                let known: Vec<_> = PARAMS.iter().map(|(known, _)| format!("`{known}`")).collect();
                let text = format!("`ata` has no parameter `{}`", name.text);
                self.report(
                    Diagnostic::new(Code::AtaUnknownParam, name.place, text)
                        .help(format!("its parameters are {}", known.join(", "))),
                );
                continue;
            };
            if let Some((first, _)) = params[..i].iter().find(|(first, _)| first == name) {
                let text = format!("the parameter `{}` is given twice", name.text);
                self.report(
                    Diagnostic::new(Code::AtaDuplicateParam, name.place, text)
                        .also(first.place, "first given here")
                        .help("remove one of them"),
                );
            }
            match (expects, value) {
                (Expects::Flag, Value::Number(Int { value: Some(0..=1) | None, .. })) => {}
                (Expects::Flag, value) => {
                    self.bad_value(
                        value,
                        format!("`{}` is neither 0 nor 1", name.text),
                        "write 0 or 1",
                    );
                }
                (Expects::Data, Value::Number(_)) => {
                    let text = format!("`{}` is a number", name.text);
                    self.bad_value(value, text, "name an argument of bytes");
                }
                (Expects::Data, Value::Ident(_)) | (Expects::Number, _) => {}
            }
        }
    }

    fn bad_value(&mut self, value: &Value, text: String, help: &str) {
        let place = match value {
            Value::Number(int) => int.place,
            Value::Ident(name) => name.place,
        };
        self.report(Diagnostic::new(Code::AtaBadValue, place, text).help(help));
    }

    /// `dma_arg` must name one argument, of bytes.
    fn check_data(&mut self) -> Option<Data<'a>> {
        let (_, Value::Ident(name)) = self.param("dma_arg")? else { return None };
        let mut named = self.message.ast.args.iter().filter(|arg| arg.name == *name);
        let Some(arg) = named.next() else {
            self.unknown_argument(name);
            return None;
        };
        if let Some(other) = named.next() {
            let text = format!("`{}` is an `in` and an `out` argument", name.text);
            self.report(
                Diagnostic::new(Code::AtaAmbiguousArgument, name.place, text)
                    .also(arg.name.place, "one of them")
                    .also(other.name.place, "the other")
                    .help("rename the one that is not the data"),
            );
            return None;
        }
        let size = self.resolved(&arg.name).map(|arg| self.size(arg));
        if size == Some(None) {
            let text = format!("`{}` has another type than bytes", name.text);
            self.report(
                Diagnostic::new(Code::AtaNotBytes, name.place, text)
                    .also(arg.ty.place, "its type")
                    .help(format!(
                        "declare `uint8 {0}[{0}_size, 4096]`, or a type `uint8 block[512]`",
                        name.text
                    )),
            );
        }
        Some(Data { name, direction: arg.direction?, size: size.flatten() })
    }

    /// Returns the argument that is declared as `name`, if its type is known.
    fn resolved(&self, name: &Name) -> Option<&'a Arg<'a>> {
        self.message.args.iter().find(|arg| core::ptr::eq(&arg.ast.name, name))
    }

    /// Returns the size of an argument of bytes; `None` for another.
    fn size(&self, arg: &Arg<'_>) -> Option<Size> {
        match (arg.ty, arg.array) {
            (ty, Some((_, max))) if self.scope.builtin(ty) == Some(Builtin::U8) => {
                Some(Size::Dynamic(max.into()))
            }
            (Ty::Named(id), None) => match self.scope.types[id.0].kind {
                TypeKind::Array { elem, len } if self.scope.builtin(elem) == Some(Builtin::U8) => {
                    Some(Size::Fixed(len))
                }
                TypeKind::Alias(old) => self.size(&Arg { ast: arg.ast, ty: old, array: None }),
                _ => None,
            },
            _ => None,
        }
    }

    fn unknown_argument(&mut self, name: &Name) {
        let rpc = &self.message.ast.name;
        let text = format!("`{}` has no argument `{}`", rpc.text, name.text);
        self.report(
            Diagnostic::new(Code::AtaUnknownArgument, name.place, text)
                .also(rpc.place, "the rpc")
                .help("name one of its arguments, or declare this one"),
        );
    }

    /// A command must have its number.
    fn check_command(&mut self) {
        if self.param("command").is_none() {
            let text = format!("`{}` has no `command`", self.message.ast.name.text);
            self.report(
                Diagnostic::new(Code::AtaMissingCommand, self.annotation.context.place, text)
                    .help("add `command=0xC8`, or the number of another command"),
            );
        }
    }

    /// Numbers must fit into their registers, and arguments in their place must be `in` arguments that are numbers.
    fn check_numbers(&mut self) {
        let wide = self.flag("lba48") == Some(true);
        for (name, expects) in PARAMS {
            let (Expects::Number, Some((_, value))) = (expects, self.param(name)) else { continue };
            let bits = match (name, wide) {
                ("command", _) | ("feature" | "count", false) => 8,
                ("feature" | "count", true) => 16,
                ("lba", false) => 28,
                ("lba", true) => 48,
                _ => 32,
            };
            match value {
                Value::Number(Int { value: Some(number), .. }) if *number >= 1 << bits => {
                    let text = format!("`{name}` has more than {bits} bits");
                    let help = match (name, wide) {
                        ("lba" | "feature" | "count", false) => {
                            "choose a smaller one, or a command with `lba48=1`"
                        }
                        _ => "choose a smaller one",
                    };
                    self.bad_value(value, text, help);
                }
                Value::Number(_) => {}
                Value::Ident(argument) => self.check_number(name, argument),
            }
        }
    }

    fn check_number(&mut self, param: &str, argument: &Name) {
        let named = |direction| {
            let mut args = self.message.ast.args.iter();
            args.find(|arg| arg.name == *argument && arg.direction == Some(direction))
        };
        let Some(arg) = named(Direction::In) else {
            let Some(out) = named(Direction::Out) else { return self.unknown_argument(argument) };
            let text = format!("`{}` is known only when the command has ended", argument.text);
            return self.report(
                Diagnostic::new(Code::AtaOutArgument, argument.place, text)
                    .also(out.name.place, "an `out` argument")
                    .help(format!("name an `in` argument as `{param}`")),
            );
        };
        let Some(resolved) = self.resolved(&arg.name) else { return };
        let is_number = resolved.array.is_none()
            && matches!(
                self.scope.builtin(resolved.ty),
                Some(Builtin::U8 | Builtin::U16 | Builtin::U32 | Builtin::U64 | Builtin::Usize)
            );
        if !is_number {
            let text = format!("`{}` is no natural number", argument.text);
            self.report(
                Diagnostic::new(Code::AtaNotANumber, argument.place, text)
                    .also(arg.ty.place, "its type")
                    .help("declare it as `uint8`, `uint16`, `uint32` or `uint64`"),
            );
        }
    }

    /// The size of the data must follow from exactly one thing.
    fn check_size(&mut self, data: Option<&Data<'_>>) {
        let given = self.param("dma_size");
        let Some(data) = data else {
            if let Some((name, _)) = given.filter(|_| self.param("dma_arg").is_none()) {
                self.without_data(name);
            }
            return;
        };
        let Some(size) = data.size else { return };
        match (size, data.direction, given) {
            (Size::Dynamic(_), Direction::Out, None) => {
                let text = format!("nothing says how many bytes `{}` gets", data.name.text);
                self.report(Diagnostic::new(Code::AtaMissingSize, data.name.place, text).help(
                    "add `dma_size`, with a number or an `in` argument, or declare a fixed array",
                ));
            }
            (Size::Fixed(_), _, Some((name, _)))
            | (Size::Dynamic(_), Direction::In, Some((name, _))) => {
                let text = format!("`{}` has a size of its own", data.name.text);
                self.report(
                    Diagnostic::new(Code::AtaAmbiguousSize, name.place, text)
                        .also(data.name.place, "the data")
                        .help("remove `dma_size`"),
                );
            }
            (Size::Dynamic(max), Direction::Out, Some((_, value))) => {
                if let Value::Number(Int { value: Some(number), .. }) = value
                    && (*number == 0 || number % 2 != 0 || *number > max)
                {
                    let text = format!(
                        "`dma_size` is not an even number from 2 to the maximum of `{}`, {max}",
                        data.name.text
                    );
                    self.bad_value(value, text, "change it, or the maximum");
                }
            }
            (_, _, None) | (Size::Dynamic(_), Direction::Error, _) => {}
        }
    }

    fn without_data(&mut self, param: &Name) {
        let text = format!("`{}` without data", param.text);
        self.report(
            Diagnostic::new(Code::AtaWithoutData, param.place, text)
                .help("name the data, as in `dma_arg=buffer`, or remove the parameter"),
        );
    }

    /// `is_write` must agree with the direction of the data.
    fn check_direction(&mut self, data: Option<&Data<'_>>) {
        let (Some((name, value)), Some(writes)) = (self.param("is_write"), self.flag("is_write"))
        else {
            return;
        };
        let Some(data) = data else {
            if self.param("dma_arg").is_none() {
                self.without_data(name);
            }
            return;
        };
        if writes != (data.direction == Direction::In) {
            let place = match value {
                Value::Number(int) => int.place,
                Value::Ident(name) => name.place,
            };
            let (does, word) = if writes { ("writes", "an `out`") } else { ("reads", "an `in`") };
            let text = format!("the command {does}, and its data is {word} argument");
            self.report(
                Diagnostic::new(Code::AtaDirection, place, text)
                    .also(data.name.place, "the data")
                    .help("correct the direction of the argument, or remove `is_write`"),
            );
        }
    }

    /// A response has the data and how the command ended, and nothing else.
    fn check_results(&mut self, data: Option<&Data<'_>>) {
        for error in self.args(Direction::Error) {
            self.report(
                Diagnostic::new(
                    Code::AtaBadResult,
                    error.name.place,
                    "a command has no error of its own",
                )
                .note("its results are the data, if it reads, and `errval status`")
                .help("remove `fails`, and declare `out errval status`"),
            );
        }
        for arg in self.args(Direction::Out) {
            let is_data = data.is_some_and(|data| *data.name == arg.name);
            let is_status = arg.name.text == STATUS
                && self.resolved(&arg.name).is_none_or(|resolved| {
                    resolved.array.is_none()
                        && self.scope.builtin(resolved.ty) == Some(Builtin::Errval)
                });
            // A result that a parameter names is no data because of a mistake that has been reported.
            if !is_data && !is_status && !self.is_named(&arg.name) {
                let text = format!("a command has no result `{}`", arg.name.text);
                self.report(
                    Diagnostic::new(Code::AtaBadResult, arg.name.place, text)
                        .note("its results are the data, if it reads, and `errval status`")
                        .help("name it as `dma_arg`, or remove it"),
                );
            }
        }
    }

    /// Every `in` argument must reach the disk.
    fn check_use(&mut self) {
        for arg in self.args(Direction::In) {
            if !self.is_named(&arg.name) {
                let text = format!("`{}` is no part of the command", arg.name.text);
                self.report(
                    Diagnostic::new(Code::AtaUnusedArgument, arg.name.place, text)
                        .also(self.annotation.context.place, "its annotation")
                        .help("give it to a parameter, as in `lba=start`, or remove it"),
                );
            }
        }
    }

    /// Returns the arguments of one direction.
    fn args(&self, direction: Direction) -> impl Iterator<Item = &'a ast::Arg> + use<'a> {
        let message = self.message;
        message.ast.args.iter().filter(move |arg| arg.direction == Some(direction))
    }

    /// Returns true if a parameter names an argument that the rpc lacks.
    fn names_no_argument(&self) -> bool {
        let args = &self.message.ast.args;
        self.annotation.params.iter().any(|(_, value)| {
            matches!(value, Value::Ident(name) if args.iter().all(|arg| arg.name != *name))
        })
    }

    /// Returns true if a parameter names the argument.
    fn is_named(&self, argument: &Name) -> bool {
        let mut values = self.annotation.params.iter().map(|(_, value)| value);
        values.any(|value| matches!(value, Value::Ident(name) if name == argument))
    }
}
