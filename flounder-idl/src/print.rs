//! Pretty printer for interfaces. Parsing its output yields an equal tree.

use std::fmt::Write as _;

use crate::ast::*;

/// Prints a unit.
pub fn unit(unit: &Unit) -> String {
    let mut printer = Printer::default();
    for (index, item) in unit.items.iter().enumerate() {
        match item {
            Item::Import(import) => printer.import(import),
            Item::Types(types) => {
                printer.gap(index);
                printer.attrs(&types.attrs);
                printer.line(format_args!(
                    "{}types {} {{",
                    visibility(&types.attrs),
                    types.name.text
                ));
                printer.body(&types.body);
            }
            Item::Interface(interface) => {
                printer.gap(index);
                printer.interface(interface);
            }
        }
    }
    printer.out
}

/// Prints an interface.
pub fn interface(interface: &Interface) -> String {
    let mut printer = Printer::default();
    printer.interface(interface);
    printer.out
}

/// Prints an import file.
pub fn types_file(body: &[Decl]) -> String {
    let mut printer = Printer::default();
    body.iter().for_each(|decl| printer.decl(decl));
    printer.out
}

#[derive(Default)]
struct Printer {
    out: String,
    depth: usize,
}

impl Printer {
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{:indent$}{text}", "", indent = self.depth * 4);
    }

    fn gap(&mut self, index: usize) {
        if index > 0 {
            self.out.push('\n');
        }
    }

    fn attrs(&mut self, attrs: &Attrs) {
        for doc in &attrs.docs {
            self.line(format_args!("///{doc}"));
        }
        for other in &attrs.others {
            self.line(format_args!("{}", other.stream));
        }
        if let Some(name) = &attrs.rust_name {
            self.line(format_args!("#[rust_name = \"{}\"]", name.text));
        }
    }

    fn interface(&mut self, interface: &Interface) {
        self.attrs(&interface.attrs);
        let description = interface
            .description
            .as_deref()
            .map(|text| format!(" {}", quoted(text)))
            .unwrap_or_default();
        let visibility = visibility(&interface.attrs);
        self.marks(&interface.marks);
        self.line(format_args!("{visibility}interface {}{description} {{", interface.name.text));
        self.body(&interface.body);
    }

    fn marks(&mut self, marks: &[Name]) {
        for mark in marks {
            self.line(format_args!("@{}", mark.text));
        }
    }

    fn body(&mut self, body: &[Decl]) {
        self.depth += 1;
        body.iter().for_each(|decl| self.decl(decl));
        self.depth -= 1;
        self.line(format_args!("}};"));
    }

    fn decl(&mut self, decl: &Decl) {
        match decl {
            Decl::Import(import) => self.import(import),
            Decl::Type(decl) => self.type_decl(decl),
            Decl::Const(constant) => {
                self.attrs(&constant.attrs);
                let Const { ty, name, value, .. } = constant;
                self.line(format_args!("const {} {} = {};", ty.text, name.text, int(value)));
            }
            Decl::Message(message) => self.message(message),
        }
    }

    fn import(&mut self, import: &Import) {
        let module = import.module.as_ref().map(|module| {
            let words: Vec<&str> = module.segments.iter().map(|name| name.text.as_str()).collect();
            format!(" as {}{}", if module.global { "::" } else { "" }, words.join("::"))
        });
        self.line(format_args!("import {}{};", quoted(&import.path), module.unwrap_or_default()));
    }

    fn type_decl(&mut self, decl: &TypeDecl) {
        self.attrs(&decl.attrs);
        let name = &decl.name.text;
        match &decl.kind {
            TypeDeclKind::Alias(target) => self.line(format_args!("alias {name} {};", target.text)),
            TypeDeclKind::Named(old) => self.line(format_args!("typedef {} {name};", old.text)),
            TypeDeclKind::Array(elem, length) => {
                self.line(format_args!("typedef {} {name}[{}];", elem.text, size(length)));
            }
            TypeDeclKind::Use(path) => self.line(format_args!("use {} as {name};", path.stream)),
            TypeDeclKind::Struct(fields) | TypeDeclKind::Union(fields) => {
                let is_union = matches!(decl.kind, TypeDeclKind::Union(_));
                self.line(format_args!("typedef {} {{", if is_union { "union" } else { "struct" }));
                self.depth += 1;
                for field in fields {
                    self.attrs(&field.attrs);
                    self.line(format_args!("{};", arg(field)));
                }
                self.depth -= 1;
                self.line(format_args!("}} {name};"));
            }
            TypeDeclKind::Enum(elements) => {
                self.line(format_args!("typedef enum {{"));
                self.depth += 1;
                for (index, element) in elements.iter().enumerate() {
                    self.attrs(&element.attrs);
                    let comma = if index + 1 < elements.len() { "," } else { "" };
                    self.line(format_args!("{}{comma}", element.name.text));
                }
                self.depth -= 1;
                self.line(format_args!("}} {name};"));
            }
        }
    }

    fn message(&mut self, message: &Message) {
        self.attrs(&message.attrs);
        for annotation in &message.annotations {
            let params: Vec<String> = annotation.params.iter().map(param).collect();
            self.line(format_args!("@{}({})", annotation.context.text, params.join(", ")));
        }
        self.marks(&message.marks);
        let (word, name) = (message.word.as_str(), &message.name.text);
        let (args, error) = match message.args.split_last() {
            Some((error, args)) if message.fails() => (args, format!(" fails {}", error.ty.text)),
            _ => (&message.args[..], String::new()),
        };
        let plain = |arg: &Arg| arg.attrs == Attrs::default();
        if args.iter().all(plain) {
            let args: Vec<String> = args.iter().map(arg).collect();
            return self.line(format_args!("{word} {name}({}){error};", args.join(", ")));
        }
        self.line(format_args!("{word} {name}("));
        self.depth += 1;
        for (index, each) in args.iter().enumerate() {
            self.attrs(&each.attrs);
            let comma = if index + 1 < args.len() { "," } else { "" };
            self.line(format_args!("{}{comma}", arg(each)));
        }
        self.depth -= 1;
        self.line(format_args!("){error};"));
    }
}

/// Returns the visibility with a space after it, or an empty string.
fn visibility(attrs: &Attrs) -> String {
    let tokens = attrs.visibility.as_ref().map(|tokens| tokens.stream.to_string());
    tokens
        .map(|text| format!("{} ", text.replace(" (", "(").replace("( ", "(").replace(" )", ")")))
        .unwrap_or_default()
}

fn arg(arg: &Arg) -> String {
    let direction = match arg.direction {
        Some(Direction::In) => "in ",
        Some(Direction::Out) => "out ",
        Some(Direction::Error) | None => "",
    };
    let suffix = match &arg.suffix {
        Suffix::None => String::new(),
        Suffix::Bound(bound) => format!("[{}]", int(bound)),
        Suffix::Dynamic(length, None) => format!("[{}]", length.text),
        Suffix::Dynamic(length, Some(max)) => format!("[{}, {}]", length.text, size(max)),
    };
    let optional = if arg.optional { "optional " } else { "" };
    format!("{direction}{optional}{} {}{suffix}", arg.ty.text, arg.name.text)
}

fn param((name, value): &(Name, Value)) -> String {
    match value {
        Value::Number(number) => format!("{}={}", name.text, int(number)),
        Value::Ident(value) => format!("{}={}", name.text, value.text),
    }
}

fn int(int: &Int) -> String {
    format!("{}{}", if int.negative { "-" } else { "" }, int.value.unwrap_or(0))
}

fn size(size: &Size) -> String {
    match size {
        Size::Int(number) => int(number),
        Size::Const(name) => name.text.clone(),
    }
}

/// Returns a string literal with the escapes that the lexer reads.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
