//! Tree to text for people.

use std::fmt::{self, Write as _};

use super::{Object, Value};

/// Byte strings longer than this are cut when printed.
const SHOWN_BYTES: usize = 32;

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// One field a line, indented; otherwise all on one line.
    pub lines: bool,
    /// Strings and byte strings as lengths only, for output that strangers may see.
    pub redact: bool,
}

/// A value to be printed in a style; see [`Value::print`].
pub struct Printed<'a, 's> {
    value: &'a Value<'s>,
    style: Style,
}

impl<'s> Value<'s> {
    /// The value as text, like a schema line with values: `peerUser { user_id: 7 }`. What is absent is left out.
    pub fn print(&self, style: Style) -> Printed<'_, 's> {
        Printed { value: self, style }
    }
}

impl fmt::Display for Printed<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printer { out: f, style: self.style, indent: 0 }.value(self.value)
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = Style { lines: f.alternate(), redact: false };
        Printer { out: f, style, indent: 0 }.value(self)
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = Style { lines: f.alternate(), redact: false };
        Printer { out: f, style, indent: 0 }.object(self)
    }
}

struct Printer<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    style: Style,
    indent: usize,
}

impl Printer<'_, '_> {
    fn value(&mut self, value: &Value<'_>) -> fmt::Result {
        match value {
            Value::Absent => self.out.write_str("absent"),
            Value::Flags(bits) => write!(self.out, "{bits:#b}"),
            Value::True => self.out.write_str("true"),
            Value::Int(number) => write!(self.out, "{number}"),
            Value::Long(number) => write!(self.out, "{number}"),
            Value::Double(number) => write!(self.out, "{number:?}"),
            Value::Int128(bytes) => self.bytes(bytes),
            Value::Int256(bytes) => self.bytes(bytes),
            Value::Bool(value) => write!(self.out, "{value}"),
            Value::String(text) if self.style.redact => write!(self.out, "<{} bytes of text>", text.as_bytes().len()),
            Value::String(text) => write!(self.out, "{text:?}"),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Vector(items) if items.is_empty() => self.out.write_str("[]"),
            Value::Vector(items) => self.list(["[", "]"], items.iter(), |this, item| this.value(item)),
            Value::Object(object) => self.object(object),
            Value::Raw { name, body, .. } => {
                write!(self.out, "{name} {{ ")?;
                self.bytes(body)?;
                self.out.write_str(" }")
            }
        }
    }

    fn object(&mut self, object: &Object<'_>) -> fmt::Result {
        self.out.write_str(&object.definition.name)?;
        if object.fields().next().is_none() {
            return Ok(());
        }
        self.out.write_char(' ')?;
        self.list(["{", "}"], object.fields(), |this, (name, value)| {
            write!(this.out, "{name}: ")?;
            this.value(value)
        })
    }

    /// Items with commas, between brackets.
    fn list<T>(
        &mut self,
        [open, close]: [&str; 2],
        items: impl Iterator<Item = T>,
        print: impl Fn(&mut Self, T) -> fmt::Result,
    ) -> fmt::Result {
        self.out.write_str(open)?;
        self.indent += 1;
        for (index, item) in items.enumerate() {
            match (self.style.lines, index) {
                (true, _) => self.line()?,
                (false, 0) => self.out.write_str(if open == "{" { " " } else { "" })?,
                (false, _) => self.out.write_str(", ")?,
            }
            print(self, item)?;
            if self.style.lines {
                self.out.write_char(',')?;
            }
        }
        self.indent -= 1;
        match self.style.lines {
            true => self.line()?,
            false => self.out.write_str(if open == "{" { " " } else { "" })?,
        }
        self.out.write_str(close)
    }

    fn line(&mut self) -> fmt::Result {
        self.out.write_char('\n')?;
        (0..self.indent).try_for_each(|_| self.out.write_str("    "))
    }

    fn bytes(&mut self, bytes: &[u8]) -> fmt::Result {
        if self.style.redact {
            return write!(self.out, "<{} bytes>", bytes.len());
        }
        self.out.write_str("0x")?;
        let shown = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
        shown.iter().try_for_each(|byte| write!(self.out, "{byte:02x}"))?;
        if bytes.len() > shown.len() {
            write!(self.out, "… ({} bytes)", bytes.len())?;
        }
        Ok(())
    }
}
