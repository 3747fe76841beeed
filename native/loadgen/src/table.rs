//! A table file of test data, mapped into memory. `atm.tables.table_file` defines the format and writes it.
//!
//! Nothing in a file is trusted: a cell whose positions or bytes are not valid does not exist.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

const MAGIC: &[u8; 8] = b"ATMTABLE";
const VERSION: u32 = 1;
const HEADER: usize = 80;
const IS_JSON: u32 = 1 << 31;
const MOST_COLUMNS: u32 = 1_000;
/// Most rows of a table.
pub const MOST_ROWS: u64 = 1 << 27;

/// Why a file is not a table that can be used.
#[derive(Debug)]
pub enum TableError {
    /// It cannot be opened or mapped.
    Io(io::Error),
    /// It is not a table of this version, or damaged.
    Damaged(&'static str),
}

impl fmt::Display for TableError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableError::Io(error) => write!(formatter, "it cannot be read: {error}"),
            TableError::Damaged(why) => write!(formatter, "it is damaged: {why}"),
        }
    }
}

impl std::error::Error for TableError {}

/// The content of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Text.
    Text(&'a str),
    /// The text of a JSON value that is not a string.
    Json(&'a str),
}

/// A mapped table file.
#[derive(Debug)]
pub struct Table {
    map: Mmap,
    columns: usize,
    rows: u64,
    index: usize,
}

impl Table {
    /// Maps a table file.
    ///
    /// # Errors
    /// [`TableError`] if it cannot be read, or is not a table of this version.
    pub fn open(path: &Path) -> Result<Table, TableError> {
        let file = File::open(path).map_err(TableError::Io)?;
        // SAFETY: a table file is written under another name and renamed, and never changed after that. The directory
        // is private to the user. Every access checks its bounds within the map.
        let map = unsafe { Mmap::map(&file) }.map_err(TableError::Io)?;
        Table::read(map)
    }

    fn read(map: Mmap) -> Result<Table, TableError> {
        let damaged = TableError::Damaged;
        if map.len() < HEADER {
            return Err(damaged("it is shorter than its header"));
        }
        if map.get(..8) != Some(MAGIC) || u32_at(&map, 8) != Some(VERSION) {
            return Err(damaged("it is not a table of this version"));
        }
        if u64_at(&map, 40) != Some(map.len() as u64) {
            return Err(damaged("its size is not the one in its header"));
        }
        let columns = u32_at(&map, 12).filter(|columns| (1..=MOST_COLUMNS).contains(columns));
        let rows = u64_at(&map, 16).filter(|rows| (1..=MOST_ROWS).contains(rows));
        let (Some(columns), Some(rows), Some(index)) = (columns, rows, usize_at(&map, 32)) else {
            return Err(damaged("its header is not valid"));
        };
        let index_end = usize::try_from(rows).ok().and_then(|rows| index.checked_add(rows * 8));
        if index_end.is_none_or(|end| end > map.len()) {
            return Err(damaged("its index is outside of it"));
        }
        Ok(Table { map, columns: columns as usize, rows, index })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A cell by the numbers of row and column, from 0; None if there is none, or if the file is damaged there.
    #[must_use]
    pub fn cell(&self, row: u64, column: usize) -> Option<Cell<'_>> {
        if row >= self.rows || column >= self.columns {
            return None;
        }
        let record = usize_at(&self.map, self.index.checked_add(usize::try_from(row).ok()?.checked_mul(8)?)?)?;
        let texts = record.checked_add(self.columns * 4)?;
        let end_of = |column: usize| u32_at(&self.map, record.checked_add(column * 4)?);
        let length = |end: u32| (end & !IS_JSON) as usize;
        let start = if column == 0 { 0 } else { length(end_of(column - 1)?) };
        let end = end_of(column)?;
        let bytes = self.map.get(texts.checked_add(start)?..texts.checked_add(length(end))?)?;
        let text = std::str::from_utf8(bytes).ok()?;
        Some(if end & IS_JSON == 0 { Cell::Text(text) } else { Cell::Json(text) })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    part.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(8)?)?;
    part.try_into().ok().map(u64::from_le_bytes)
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    u64_at(bytes, at).and_then(|value| usize::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Written by `atm.tables`; the tests of Python write the same bytes.
    const FILE: &[u8] = include_bytes!("../../../tests/vectors/rows.table");

    fn opened(bytes: &[u8]) -> Result<Table, TableError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("atm-table-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        File::create(&path).and_then(|mut file| file.write_all(bytes)).expect("a temporary file");
        let table = Table::open(&path);
        std::fs::remove_file(&path).expect("the file is there");
        table
    }

    #[test]
    fn cells_are_what_python_wrote() {
        let table = opened(FILE).expect("a table");
        assert_eq!((table.rows(), table.columns()), (3, 3));
        let row = |row| [0, 1, 2].map(|column| table.cell(row, column).expect("a cell"));
        assert_eq!(row(0), [Cell::Text("Ada"), Cell::Json("1815"), Cell::Json(r#"{"a":[1,null]}"#)]);
        assert_eq!(row(1), [Cell::Text(""), Cell::Json("-1.5"), Cell::Text("{\"a\": 1}")]);
        assert_eq!(row(2), [Cell::Text("Zoë 😀"), Cell::Json("true"), Cell::Text("last\n")]);
        assert_eq!((table.cell(3, 0), table.cell(0, 3), table.cell(u64::MAX, usize::MAX)), (None, None, None));
    }

    #[test]
    fn a_part_of_a_file_is_no_table() {
        for length in 0..FILE.len() {
            assert!(opened(&FILE[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_an_error_or_lacks_cells(at in 0..FILE.len(), byte: u8, second in 8..FILE.len(), other: u8) {
            let mut bytes = FILE.to_vec();
            bytes[at] = byte;
            bytes[second] = other;
            if let Ok(table) = opened(&bytes) {
                for row in 0..4 {
                    for column in 0..4 {
                        let _ = table.cell(row, column);
                    }
                }
            }
        }
    }
}
