//! Encodes request heads: constant fields take one byte each after their first use on a connection.
//!
//! The first use of a constant field adds it to the dynamic table, as long as there is room. Nothing is ever evicted,
//! so an entry's index changes only when another one is added; a head encoded since then is a copy of bytes, with the
//! variable values filled in. Strings are not Huffman-coded: that would save little bandwidth and cost both sides time.

use super::tables::{STATIC, STATIC_LENGTH};
use super::{DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD};
use crate::template::{Field, Template, Value};

/// Number of encoded heads cached per connection; more templates than this share the slots.
const KEPT: usize = 64;

/// A cached encoding of a head, with the positions of its variable values.
#[derive(Debug)]
struct Rendered {
    template: usize,
    /// Number of entries in the table at that time.
    entries: usize,
    bytes: Vec<u8>,
    /// The byte offset of each variable value.
    cuts: Vec<usize>,
}

/// A name and its value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// The encoder of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// The dynamic table, oldest entry first.
    entries: Vec<Entry>,
    /// Free space in the table.
    room: usize,
    capacity: usize,
    /// A table size to announce in the next block.
    announce: Option<usize>,
    rendered: Vec<Rendered>,
}

impl Encoder {
    pub(crate) fn new() -> Encoder {
        Encoder {
            entries: Vec::new(),
            room: DEFAULT_TABLE_SIZE,
            capacity: DEFAULT_TABLE_SIZE,
            announce: None,
            rendered: Vec::new(),
        }
    }

    /// Sets the table size allowed by the peer's decoder. More than the default is not used.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        let capacity = limit.min(DEFAULT_TABLE_SIZE);
        if capacity != self.capacity {
            // Clearing the table is rare and simple; evicting would change every index.
            self.entries.clear();
            self.rendered.clear();
            self.room = capacity;
            self.capacity = capacity;
            self.announce = Some(capacity);
        }
    }

    /// Appends the block of `template`; `value` appends its n-th variable value to the given buffer.
    #[inline]
    pub(crate) fn encode(
        &mut self,
        number: usize,
        template: &Template,
        output: &mut Vec<u8>,
        mut value: impl FnMut(usize, &mut Vec<u8>),
    ) {
        match self.rendered.get(number % KEPT) {
            Some(rendered) if rendered.template == number && rendered.entries == self.entries.len() => {
                if rendered.cuts.is_empty() {
                    output.extend_from_slice(&rendered.bytes);
                    return;
                }
                let mut from = 0;
                for (nth, cut) in rendered.cuts.iter().enumerate() {
                    output.extend_from_slice(&rendered.bytes[from..*cut]);
                    append_rendered(output, |output| value(nth, output));
                    from = *cut;
                }
                output.extend_from_slice(&rendered.bytes[from..]);
            }
            _ => self.encode_anew(number, template, output, value),
        }
    }

    #[cold]
    fn encode_anew(
        &mut self,
        number: usize,
        template: &Template,
        output: &mut Vec<u8>,
        mut value: impl FnMut(usize, &mut Vec<u8>),
    ) {
        let announced = self.announce.is_some();
        self.begin(output);
        let entries = self.entries.len();
        let mut bytes = Vec::new();
        let mut cuts = Vec::new();
        for field in template.fields() {
            let begin = output.len();
            self.field(field, output);
            bytes.extend_from_slice(&output[begin..]);
            if !matches!(field.value, Value::Constant(_)) {
                append_rendered(output, |output| value(cuts.len(), output));
                cuts.push(bytes.len());
            }
        }
        // A block that adds entries differs from the next one, so it is not cached.
        if entries == self.entries.len() && !announced {
            while self.rendered.len() <= number % KEPT {
                self.rendered.push(Rendered { template: usize::MAX, entries: 0, bytes: Vec::new(), cuts: Vec::new() });
            }
            self.rendered[number % KEPT] = Rendered { template: number, entries, bytes, cuts };
        }
    }

    /// Appends the block of fields that are sent only once; none of them enters the table.
    pub(crate) fn encode_once<'a>(&mut self, fields: impl Iterator<Item = (&'a [u8], &'a [u8])>, output: &mut Vec<u8>) {
        self.begin(output);
        for (name, value) in fields {
            append_name(output, 0x00, 4, name);
            append_string(output, value);
        }
    }

    fn begin(&mut self, output: &mut Vec<u8>) {
        if let Some(size) = self.announce.take() {
            if size > 0 {
                append_integer(output, 0x20, 5, 0); // clears the table
            }
            append_integer(output, 0x20, 5, size);
        }
    }

    /// Appends a constant field, or a variable one without its value.
    fn field(&mut self, field: &Field, output: &mut Vec<u8>) {
        let name = &field.name[..];
        match &field.value {
            Value::Variable => append_name(output, 0x00, 4, name),
            Value::Secret => append_name(output, 0x10, 4, name),
            Value::Constant(value) => {
                if let Some(index) = STATIC.iter().position(|entry| *entry == (name, &value[..])) {
                    append_integer(output, 0x80, 7, index + 1);
                } else if let Some(nth) = self.entries.iter().position(|(n, v)| **n == *name && *v == *value) {
                    append_integer(output, 0x80, 7, STATIC_LENGTH + self.entries.len() - nth);
                } else {
                    let size = name.len() + value.len() + ENTRY_OVERHEAD;
                    if size <= self.room {
                        append_name(output, 0x40, 6, name);
                        self.room -= size;
                        self.entries.push((name.into(), value.clone()));
                    } else {
                        append_name(output, 0x00, 4, name);
                    }
                    append_string(output, value);
                }
            }
        }
    }
}

/// Appends the start of a literal: its name, as an index in the static table or as text.
fn append_name(output: &mut Vec<u8>, pattern: u8, bits: u32, name: &[u8]) {
    if let Some(index) = STATIC.iter().position(|(known, _)| *known == name) {
        append_integer(output, pattern, bits, index + 1);
    } else {
        output.push(pattern);
        append_string(output, name);
    }
}

fn append_string(output: &mut Vec<u8>, text: &[u8]) {
    append_integer(output, 0, 7, text.len());
    output.extend_from_slice(text);
}

/// Appends a string written by `render`, preceded by its length.
#[allow(clippy::cast_possible_truncation)] // below 127, or masked to seven bits
fn append_rendered(output: &mut Vec<u8>, render: impl FnOnce(&mut Vec<u8>)) {
    let at = output.len();
    output.push(0);
    render(output);
    let end = output.len();
    let length = end - at - 1;
    if length < 0x7f {
        output[at] = length as u8;
        return;
    }
    // The length needs more than the one byte reserved for it: append it, then rotate it before the text.
    append_integer(output, 0, 7, length);
    let prefix = output.len() - end;
    output[at..].rotate_right(prefix);
    output.remove(at + prefix);
}

/// Appends an integer with a prefix of `bits` after `pattern` (RFC 7541, section 5.1).
#[allow(clippy::cast_possible_truncation)] // each piece is masked to seven bits, or below the prefix's mask
pub(super) fn append_integer(output: &mut Vec<u8>, pattern: u8, bits: u32, value: usize) {
    let mask = (1usize << bits) - 1;
    if value < mask {
        output.push(pattern | value as u8);
        return;
    }
    output.push(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        output.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    output.push(rest as u8);
}
