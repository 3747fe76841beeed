//! `HdrHistogram`'s buckets in pages allocated on demand, and its V2 compressed encoding.
//!
//! Layout and encoding after hdrhistogram.org: lowest discernible value 1 ns, highest one hour, three significant digits,
//! so 2,048 sub-buckets. The libraries allocate all counters up front (280 kB); a page here is 1,024 counters (4 kB), one
//! for each power of two with samples; a second's samples rarely need more than a handful.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// One hour in nanoseconds: longer samples are clamped to it.
pub const HIGHEST_NS: u64 = 3_600_000_000_000;

const MAGNITUDE: u32 = 11;
const PAGE: usize = 1024;
const PAGES: usize = index_of(HIGHEST_NS) / PAGE + 1;
const COOKIE: i32 = 0x1C84_9313;
const COMPRESSED_COOKIE: i32 = 0x1C84_9314;

/// The bucket of `value`.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // an index is below 35,000 for every value up to HIGHEST_NS
pub const fn index_of(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    if bits <= MAGNITUDE {
        return value as usize;
    }
    let shift = bits - MAGNITUDE;
    ((shift as usize) << 10) + (value >> shift) as usize
}

/// The smallest value in bucket `index`.
#[must_use]
pub const fn lowest_of(index: usize) -> u64 {
    let row = index >> 10;
    if row <= 1 { index as u64 } else { ((index & (PAGE - 1)) as u64 + PAGE as u64) << (row - 1) }
}

/// Counts of integer nanoseconds.
#[derive(Clone)]
pub struct Histogram {
    pages: [Option<Box<[u32; PAGE]>>; PAGES],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { pages: [const { None }; PAGES], total: 0 }
    }
}

impl Histogram {
    /// Adds one sample; returns true if it was clamped to one hour.
    #[inline]
    pub fn record(&mut self, value: u64) -> bool {
        let index = index_of(value.min(HIGHEST_NS));
        let page = self.pages[index / PAGE].get_or_insert_with(|| Box::new([0; PAGE]));
        page[index % PAGE] = page[index % PAGE].saturating_add(1);
        self.total += 1;
        value > HIGHEST_NS
    }

    /// Adds the samples of `other`.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.pages.iter_mut().zip(&other.pages) {
            if let Some(theirs) = theirs {
                let mine = mine.get_or_insert_with(|| Box::new([0; PAGE]));
                for (count, more) in mine.iter_mut().zip(theirs.iter()) {
                    *count = count.saturating_add(*more);
                }
            }
        }
        self.total += other.total;
    }

    /// Removes the samples and keeps the pages.
    pub fn clear(&mut self) {
        if self.total > 0 {
            for page in self.pages.iter_mut().flatten() {
                page.fill(0);
            }
            self.total = 0;
        }
    }

    /// Number of samples.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// True without samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Bucket indices with their counts, in ascending order, without zeros.
    pub fn counts(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.pages.iter().enumerate().filter_map(|(row, page)| page.as_ref().map(|page| (row, page))).flat_map(
            |(row, page)| {
                page.iter()
                    .enumerate()
                    .filter(|(_, count)| **count > 0)
                    .map(move |(at, count)| (row * PAGE + at, *count))
            },
        )
    }

    /// `HdrHistogram`'s V2 compressed encoding.
    ///
    /// # Panics
    /// Never: writing into memory does not fail, and the lengths are far below 2^31.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(256);
        let mut following = 0;
        for (index, count) in self.counts() {
            if index > following {
                append_zigzag(&mut payload, -i64::try_from(index - following).unwrap_or(i64::MAX));
            }
            append_zigzag(&mut payload, i64::from(count));
            following = index + 1;
        }
        let mut plain = Vec::with_capacity(40 + payload.len());
        plain.extend_from_slice(&COOKIE.to_be_bytes());
        plain.extend_from_slice(&length_of(&payload).to_be_bytes());
        plain.extend_from_slice(&0_i32.to_be_bytes());
        plain.extend_from_slice(&3_i32.to_be_bytes());
        plain.extend_from_slice(&1_i64.to_be_bytes());
        plain.extend_from_slice(&HIGHEST_NS.to_be_bytes());
        plain.extend_from_slice(&1_f64.to_be_bytes());
        plain.extend_from_slice(&payload);
        let mut encoder = ZlibEncoder::new(Vec::with_capacity(plain.len() / 2 + 16), Compression::fast());
        encoder.write_all(&plain).expect("writing into memory");
        let compressed = encoder.finish().expect("writing into memory");
        let mut bytes = Vec::with_capacity(compressed.len() + 8);
        bytes.extend_from_slice(&COMPRESSED_COOKIE.to_be_bytes());
        bytes.extend_from_slice(&length_of(&compressed).to_be_bytes());
        bytes.extend_from_slice(&compressed);
        bytes
    }
}

fn length_of(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).expect("at most 35,000 counters of at most nine bytes each")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the coding is defined on the bits
fn append_zigzag(payload: &mut Vec<u8>, number: i64) {
    let mut coded = ((number << 1) ^ (number >> 63)) as u64;
    while coded > 0x7F {
        payload.push((coded & 0x7F) as u8 | 0x80);
        coded >>= 7;
    }
    payload.push(coded as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;
    use proptest::prelude::*;

    fn reference(values: &[u64]) -> hdrhistogram::Histogram<u64> {
        let mut histogram = hdrhistogram::Histogram::new_with_bounds(1, HIGHEST_NS, 3).unwrap();
        for value in values {
            histogram.saturating_record(*value);
        }
        histogram
    }

    proptest! {
        #[test]
        fn the_reference_library_reads_back_every_bucket(values in prop::collection::vec(0..=HIGHEST_NS, 0..300)) {
            let mut ours = Histogram::default();
            for value in &values {
                ours.record(*value);
            }
            let read: hdrhistogram::Histogram<u64> = Deserializer::new().deserialize(&mut &ours.encode()[..]).unwrap();
            let reference = reference(&values);
            prop_assert_eq!(read.len(), values.len() as u64);
            let flat = |histogram: &hdrhistogram::Histogram<u64>| -> Vec<(u64, u64)> {
                histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
            };
            prop_assert_eq!(flat(&read), flat(&reference));
        }

        #[test]
        fn merging_is_recording_both(a in prop::collection::vec(0..=HIGHEST_NS, 0..100), b in prop::collection::vec(0..=HIGHEST_NS, 0..100)) {
            let (mut left, mut right, mut both) = (Histogram::default(), Histogram::default(), Histogram::default());
            for value in &a { left.record(*value); both.record(*value); }
            for value in &b { right.record(*value); both.record(*value); }
            left.merge(&right);
            prop_assert_eq!(left.counts().collect::<Vec<_>>(), both.counts().collect::<Vec<_>>());
            prop_assert_eq!(left.total(), both.total());
        }

        #[test]
        fn a_bucket_is_within_a_thousandth_of_its_samples(value in 0..=HIGHEST_NS) {
            let lowest = lowest_of(index_of(value));
            prop_assert!(lowest <= value);
            prop_assert!((value - lowest) * 1000 <= value);
        }
    }

    #[test]
    fn samples_over_an_hour_are_clamped_and_said_to_be() {
        let mut histogram = Histogram::default();
        assert!(!histogram.record(HIGHEST_NS));
        assert!(histogram.record(HIGHEST_NS + 1));
        assert_eq!(histogram.counts().collect::<Vec<_>>(), vec![(index_of(HIGHEST_NS), 2)]);
        histogram.clear();
        assert!(histogram.is_empty());
        assert_eq!(histogram.counts().count(), 0);
    }
}
