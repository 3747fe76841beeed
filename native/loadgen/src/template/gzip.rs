//! Compresses bodies with gzip (RFC 1952), without a name or a time, so that equal bodies stay equal.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Appends `plain` to `out`, compressed.
pub(super) fn append(plain: &[u8], out: &mut Vec<u8>) {
    let mut encoder = GzEncoder::new(out, Compression::default());
    // Writing to a Vec cannot fail, so the results are ignored.
    let _ = encoder.write_all(plain);
    let _ = encoder.finish();
}
