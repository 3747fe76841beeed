//! Rows of test data that iterations or users begin with in a second.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// The rows of one table.
#[derive(Debug, Default)]
pub struct RowBooks {
    /// Rows that none had begun with before.
    pub used: u64,
    /// Rows begun with again.
    pub repeated: u64,
    /// The used rows by index, if other engines use rows of the table too.
    first: Vec<u64>,
}

impl RowBooks {
    /// Counts a row; `is_shared` if other engines use rows of the table too.
    pub(super) fn count(&mut self, row: u64, was_used: bool, is_shared: bool) {
        if was_used {
            self.repeated += 1;
        } else {
            self.used += 1;
            if is_shared {
                self.first.push(row);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0 && self.repeated == 0
    }

    pub(super) fn merge(&mut self, other: &RowBooks) {
        self.used += other.used;
        self.repeated += other.repeated;
        self.first.extend(&other.first);
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.repeated = 0;
        self.first.clear();
    }

    /// The used rows as bits, the lowest first, compressed with zlib; None if they are not needed.
    pub(super) fn bits(&self) -> Option<Vec<u8>> {
        let last = *self.first.iter().max()?;
        // A table has fewer rows than a file has bytes.
        let index = |row: u64| usize::try_from(row / 8).unwrap_or(0);
        let mut bits = vec![0_u8; index(last) + 1];
        for row in &self.first {
            bits[index(*row)] |= 1 << (row % 8);
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        // Writing to a Vec cannot fail.
        encoder.write_all(&bits).and_then(|()| encoder.finish()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::ZlibDecoder;
    use std::io::Read;

    #[test]
    fn used_rows_are_listed_as_bits_if_other_engines_use_some_too() {
        let mut books = RowBooks::default();
        books.count(3, false, false);
        assert_eq!((books.used, books.bits()), (1, None));
        books.clear();
        let mut other = RowBooks::default();
        for row in [0, 17] {
            books.count(row, false, true);
            other.count(row + 1, row == 0, true);
        }
        books.merge(&other);
        assert_eq!((books.used, books.repeated), (3, 1));
        let mut bits = Vec::new();
        ZlibDecoder::new(books.bits().unwrap().as_slice()).read_to_end(&mut bits).unwrap();
        assert_eq!(bits, [1, 0, 0b110]);
    }
}
