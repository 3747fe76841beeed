//! HPACK, the compression of header fields (RFC 7541): the parts that a client needs, at minimal cost per request.

pub(crate) mod decoder;
pub(crate) mod encoder;
pub(crate) mod huffman;
pub(crate) mod tables;

/// Overhead per field beyond its name and value, as defined in RFC 7541 (section 4.1).
pub(crate) const ENTRY_OVERHEAD: usize = 32;

/// The dynamic table's size before any settings were exchanged (RFC 9113, section 6.5.2).
pub(crate) const DEFAULT_TABLE_SIZE: usize = 4096;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
