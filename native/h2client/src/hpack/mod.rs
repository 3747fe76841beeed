//! HPACK, the compression of header fields (RFC 7541): what a client needs of it, at the least cost for each request.

pub(crate) mod decoder;
pub(crate) mod encoder;
pub(crate) mod huffman;
pub(crate) mod tables;

/// The size that RFC 7541 counts for a field beyond its name and value (section 4.1).
pub(crate) const ENTRY_OVERHEAD: usize = 32;

/// The dynamic table's size before any settings were exchanged (RFC 9113, section 6.5.2).
pub(crate) const DEFAULT_TABLE_SIZE: usize = 4096;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
