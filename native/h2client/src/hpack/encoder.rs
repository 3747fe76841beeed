//! Encoding request heads: constant fields cost one byte each after their first use on a connection.
//!
//! A connection's first use of a constant field puts it into the dynamic table, as long as there is room. Nothing is ever
//! evicted, so an entry's index changes only when another one enters; a head that was encoded since then is a copy of
//! bytes, with the variable values set in between. Strings are sent as they are: the Huffman code would save the peer's
//! network some bytes and cost both ends time.

use super::tables::{STATIC, STATIC_LENGTH};
use super::{DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD};
use crate::template::{Field, Template, Value};

/// Encoded heads that are kept for each connection; more templates than these share the places.
const KEPT: usize = 64;

/// A head as it was last encoded, with the places of its variable values.
#[derive(Debug)]
struct Rendered {
    template: usize,
    /// How many entries the table had.
    entries: usize,
    bytes: Vec<u8>,
    /// After which byte each variable value comes.
    cuts: Vec<usize>,
}

/// A name and its value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// The state of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// Everything in the dynamic table, the oldest first.
    entries: Vec<Entry>,
    /// How much more the table may hold.
    room: usize,
    capacity: usize,
    /// A size that the next block must announce.
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

    /// The peer's decoder allows a table of this size. More than the default is not used.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        let capacity = limit.min(DEFAULT_TABLE_SIZE);
        if capacity != self.capacity {
            // To empty the table and to begin again is rare and simple; to evict would change every index.
            self.entries.clear();
            self.rendered.clear();
            self.room = capacity;
            self.capacity = capacity;
            self.announce = Some(capacity);
        }
    }

    /// Appends the block of `template`, whose n-th variable value `value` appends to the buffer that it is given.
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
        // A block that put something into the table is not what the next one will be.
        if entries == self.entries.len() && !announced {
            while self.rendered.len() <= number % KEPT {
                self.rendered.push(Rendered { template: usize::MAX, entries: 0, bytes: Vec::new(), cuts: Vec::new() });
            }
            self.rendered[number % KEPT] = Rendered { template: number, entries, bytes, cuts };
        }
    }

    /// Appends the block of fields that are sent once: nothing of them enters the table.
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
                append_integer(output, 0x20, 5, 0); // what was in the table leaves it
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

/// Appends the beginning of a literal: its name by its index in the static table, or spelled out.
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

/// Appends a string that `render` writes, its length before it.
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
    // The length takes more than the one byte that was left for it: it goes to the end, and then before the text.
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
