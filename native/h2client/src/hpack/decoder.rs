//! Decodes header blocks (RFC 7541, sections 3 to 6): fields are reported in place, without allocation.
//!
//! The dynamic table is a ring of entries over one arena of bytes. New text is appended to the arena, evicted text
//! stays until the live part is moved to the front, once every few table sizes of text. A literal that enters the table
//! is decoded directly into the arena.

use super::huffman;
use super::tables::{Name, STATIC, STATIC_LENGTH, STATIC_NAMES};
use super::{DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD};

/// Receives the fields of a block in order.
pub(crate) trait Sink {
    fn field(&mut self, meaning: Name, name: &[u8], value: &[u8]);
}

/// An invalid block; after it the two tables differ, so the connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompressionError(pub(crate) &'static str);

/// The position of one field of the dynamic table in the arena: its name, then its value.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    name: usize,
    value: usize,
    meaning: Name,
}

impl Entry {
    fn size(&self) -> usize {
        self.name + self.value + ENTRY_OVERHEAD
    }
}

const NO_ENTRY: Entry = Entry { start: 0, name: 0, value: 0, meaning: Name::Other };

/// The decoder of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    arena: Vec<u8>,
    /// A ring whose length is a power of two; `inserted` modulo the length is the next slot.
    entries: Vec<Entry>,
    /// Entries ever inserted.
    inserted: usize,
    /// How many of them are in the table.
    live: usize,
    /// Their size as defined in RFC 7541.
    size: usize,
    /// The size chosen by the peer's encoder.
    chosen: usize,
    /// The largest size it may choose.
    limit: usize,
    /// The next block must start with a size update, because the limit fell below the last one.
    choice_due: bool,
    /// The text of a literal that does not enter the table.
    passing: Vec<u8>,
    /// The size of all entries ever inserted.
    inserted_size: u64,
    /// The last block read the dynamic table.
    used: bool,
    /// The last block changed the table in another way than by inserting entries.
    changed: bool,
}

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder {
            arena: Vec::new(),
            entries: Vec::new(),
            inserted: 0,
            live: 0,
            size: 0,
            chosen: DEFAULT_TABLE_SIZE,
            limit: DEFAULT_TABLE_SIZE,
            choice_due: false,
            passing: Vec::new(),
            inserted_size: 0,
            used: false,
            changed: false,
        }
    }

    /// Sets the limit that the peer has acknowledged.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.choice_due = self.chosen > limit;
    }

    /// The table's size.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Decodes one whole block.
    #[inline]
    pub(crate) fn decode(&mut self, block: &[u8], sink: &mut impl Sink) -> Result<(), CompressionError> {
        self.used = false;
        self.changed = false;
        let mut input = Input(block);
        let mut choice_allowed = true;
        while let Some(first) = input.byte() {
            if first & 0x80 != 0 {
                let index = input.integer(first, 7)?;
                self.indexed(index, sink)?;
            } else if first & 0xe0 == 0x20 {
                self.choose(input.integer(first, 5)?, choice_allowed)?;
                continue;
            } else if first & 0x40 != 0 {
                let index = input.integer(first, 6)?;
                self.insert_literal(index, &mut input, sink)?;
            } else {
                let index = input.integer(first, 4)?;
                self.passing_literal(index, &mut input, sink)?;
            }
            if self.choice_due {
                return Err(CompressionError("the header table was not reduced"));
            }
            choice_allowed = false;
        }
        Ok(())
    }

    #[inline]
    fn indexed(&mut self, index: usize, sink: &mut impl Sink) -> Result<(), CompressionError> {
        if let Some((name, value)) = STATIC.get(index.wrapping_sub(1)) {
            sink.field(STATIC_NAMES[index - 1], name, value);
        } else {
            let entry = self.entry(index)?;
            let (name, value) = self.text(&entry);
            sink.field(entry.meaning, name, value);
        }
        Ok(())
    }

    /// The entry of the dynamic table at `index`, as counted in a block.
    #[inline]
    fn entry(&mut self, index: usize) -> Result<Entry, CompressionError> {
        self.used = true;
        let age = index.wrapping_sub(STATIC_LENGTH + 1);
        if age >= self.live {
            return Err(CompressionError("a header field's index is out of range"));
        }
        Ok(self.entries[(self.inserted - 1 - age) & (self.entries.len() - 1)])
    }

    fn text(&self, entry: &Entry) -> (&[u8], &[u8]) {
        self.arena[entry.start..entry.start + entry.name + entry.value].split_at(entry.name)
    }

    #[cold]
    fn choose(&mut self, size: usize, allowed: bool) -> Result<(), CompressionError> {
        if !allowed {
            return Err(CompressionError("a header table size after the first field"));
        }
        if size > self.limit {
            return Err(CompressionError("a header table over the size allowed"));
        }
        self.choice_due = false;
        self.changed = true;
        self.chosen = size;
        self.evict(0);
        Ok(())
    }

    /// Decodes a literal that enters the table, directly into the arena.
    #[inline]
    fn insert_literal(
        &mut self,
        index: usize,
        input: &mut Input<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), CompressionError> {
        if self.arena.len() > 4 * self.chosen.max(DEFAULT_TABLE_SIZE) {
            self.compact();
        }
        let start = self.arena.len();
        let meaning = if index == 0 {
            input.string(&mut self.arena)?;
            Name::of(&self.arena[start..])
        } else if let Some((name, _)) = STATIC.get(index - 1) {
            self.arena.extend_from_slice(name);
            STATIC_NAMES[index - 1]
        } else {
            let entry = self.entry(index)?;
            self.arena.extend_from_within(entry.start..entry.start + entry.name);
            entry.meaning
        };
        let name = self.arena.len() - start;
        input.string(&mut self.arena)?;
        let entry = Entry { start, name, value: self.arena.len() - start - name, meaning };
        let (name, value) = self.text(&entry);
        sink.field(meaning, name, value);
        if entry.size() <= self.chosen {
            self.evict(entry.size());
            self.push(entry);
        } else {
            // An entry larger than the table empties it and is not added (section 4.4).
            self.changed |= self.live > 0;
            self.evict(entry.size());
            self.arena.truncate(start);
        }
        Ok(())
    }

    #[inline]
    fn passing_literal(
        &mut self,
        index: usize,
        input: &mut Input<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), CompressionError> {
        self.passing.clear();
        let (meaning, name) = if index == 0 {
            input.string(&mut self.passing)?;
            (Name::of(&self.passing), self.passing.len())
        } else if let Some((name, _)) = STATIC.get(index - 1) {
            self.passing.extend_from_slice(name);
            (STATIC_NAMES[index - 1], name.len())
        } else {
            let entry = self.entry(index)?;
            self.passing.extend_from_slice(&self.arena[entry.start..entry.start + entry.name]);
            (entry.meaning, entry.name)
        };
        input.string(&mut self.passing)?;
        let (name, value) = self.passing.split_at(name);
        sink.field(meaning, name, value);
        Ok(())
    }

    /// Evicts the oldest entries to make room for an entry of size `needed`.
    #[inline]
    fn evict(&mut self, needed: usize) {
        while self.live > 0 && self.size + needed > self.chosen {
            let oldest = self.entries[(self.inserted - self.live) & (self.entries.len() - 1)];
            self.size -= oldest.size();
            self.live -= 1;
        }
    }

    #[inline]
    fn push(&mut self, entry: Entry) {
        if self.live == self.entries.len() {
            self.grow();
        }
        let mask = self.entries.len() - 1;
        self.entries[self.inserted & mask] = entry;
        self.inserted += 1;
        self.live += 1;
        self.size += entry.size();
        self.inserted_size += entry.size() as u64;
    }

    #[cold]
    fn grow(&mut self) {
        let mut larger = vec![NO_ENTRY; (2 * self.entries.len()).max(16)];
        for nth in self.inserted - self.live..self.inserted {
            let place = nth & (larger.len() - 1);
            larger[place] = self.entries[nth & (self.entries.len() - 1)];
        }
        self.entries = larger;
    }

    /// Moves the live text to the front of the arena.
    #[cold]
    fn compact(&mut self) {
        let mask = self.entries.len().wrapping_sub(1);
        let oldest = self.inserted - self.live;
        let begin = if self.live == 0 { self.arena.len() } else { self.entries[oldest & mask].start };
        self.arena.copy_within(begin.., 0);
        self.arena.truncate(self.arena.len() - begin);
        for nth in oldest..self.inserted {
            self.entries[nth & mask].start -= begin;
        }
    }
}

/// Recognises a block that need not be decoded again: it would have the same fields and leave the table unchanged.
///
/// Responses of one endpoint often have the same block for a whole second, until the date changes. Such a block leaves
/// the table unchanged if it inserts nothing. It also does if it only inserts, reads nothing from the table, and was
/// repeated so often that the table holds nothing else: the oldest entries are then evicted exactly as equal ones are
/// added.
#[derive(Debug, Default)]
pub(crate) struct Repetition {
    block: Vec<u8>,
    /// The size of all entries ever inserted, at the first of these repetitions.
    begin: u64,
    settled: bool,
}

impl Repetition {
    /// Whether `block` equals the previous one and need not be decoded.
    #[inline]
    pub(crate) fn is_known(&self, block: &[u8]) -> bool {
        self.settled && self.block == block
    }

    /// Resets the repetition after another change of the decoder.
    pub(crate) fn forget(&mut self) {
        self.settled = false;
    }

    /// Decodes a block, and determines whether it must be decoded when it is repeated.
    #[inline]
    pub(crate) fn decode(
        &mut self,
        decoder: &mut Decoder,
        block: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), CompressionError> {
        let before = decoder.inserted_size;
        self.settled = false;
        if self.block != block {
            self.block.clear();
            self.block.extend_from_slice(block);
            self.begin = before;
        }
        decoder.decode(block, sink)?;
        let inserted_nothing = decoder.inserted_size == before;
        let fills_the_table = !decoder.used && decoder.inserted_size - self.begin >= decoder.chosen as u64;
        self.settled = !decoder.changed && (inserted_nothing || fills_the_table);
        if decoder.changed {
            self.begin = decoder.inserted_size;
        }
        Ok(())
    }
}

/// The rest of a block.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Decodes an integer whose prefix is the low `bits` of `first` (section 5.1).
    #[inline]
    fn integer(&mut self, first: u8, bits: u32) -> Result<usize, CompressionError> {
        let mask = (1u8 << bits) - 1;
        let prefix = first & mask;
        if prefix < mask { Ok(usize::from(prefix)) } else { self.long_integer(usize::from(mask)) }
    }

    fn long_integer(&mut self, prefix: usize) -> Result<usize, CompressionError> {
        let mut value = prefix;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte().ok_or(CompressionError("a header block ends within a number"))?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CompressionError("a number in a header block is too large"))
    }

    /// Decodes a string (section 5.2), appended to `text`.
    #[inline]
    fn string(&mut self, text: &mut Vec<u8>) -> Result<(), CompressionError> {
        let ended = CompressionError("a header block ends within a string");
        let first = self.byte().ok_or(ended)?;
        let length = self.integer(first, 7)?;
        let (string, rest) = self.0.split_at_checked(length).ok_or(ended)?;
        self.0 = rest;
        if first & 0x80 == 0 {
            text.extend_from_slice(string);
        } else if !huffman::decode(string, text) {
            return Err(CompressionError("a header block with a wrong Huffman code"));
        }
        Ok(())
    }
}
