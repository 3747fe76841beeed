//! The part of a plan's load that this engine sends, as `atm.plan.share.Share`.

use serde::Deserialize;

use super::PlanError;
use super::check::ensure;

/// More engines than a run can have.
const MOST_SHARES: u64 = 10_000;

/// The arrivals and users whose 0-based index modulo `of` is among the residues.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Share {
    /// At least one, in ascending order, each below `of`.
    pub residues: Vec<u64>,
    /// Number of residues that all shares of the run have together.
    pub of: u64,
    /// Arrivals due before are not of this share, ns since the start of the run; its first interval is that second.
    #[serde(default)]
    pub from_ns: u64,
}

impl Default for Share {
    fn default() -> Share {
        Share { residues: vec![0], of: 1, from_ns: 0 }
    }
}

impl Share {
    /// True if this is the whole load.
    #[inline]
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.of == 1
    }

    /// The 0-based index in the whole of the share's arrival, user or iteration `serial`, from 0.
    #[inline]
    #[must_use]
    pub fn index(&self, serial: u64) -> u64 {
        if self.is_whole() {
            return serial;
        }
        let count = self.residues.len() as u64;
        // The remainder is below the number of residues.
        self.of * (serial / count) + self.residues[usize::try_from(serial % count).unwrap_or(0)]
    }

    /// How many of the indices below `below` belong to the share.
    #[inline]
    #[must_use]
    pub fn count(&self, below: u64) -> u64 {
        if self.is_whole() {
            return below;
        }
        let rest = below % self.of;
        let begun = self.residues.partition_point(|residue| *residue < rest);
        self.residues.len() as u64 * (below / self.of) + begun as u64
    }

    /// The position of an index within the share; None if it belongs to another one.
    #[inline]
    #[must_use]
    pub fn serial(&self, index: u64) -> Option<u64> {
        if self.is_whole() {
            return Some(index);
        }
        let position = self.residues.binary_search(&(index % self.of)).ok()?;
        Some(self.residues.len() as u64 * (index / self.of) + position as u64)
    }

    /// The part of the whole load, above 0 to 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // at most 10,000
    pub fn part(&self) -> f64 {
        self.residues.len() as f64 / self.of as f64
    }

    pub(super) fn check(&self) -> Result<(), PlanError> {
        ensure((1..=MOST_SHARES).contains(&self.of), "share.of", "it is not within 1 to 10,000")?;
        ensure(!self.residues.is_empty(), "share.residues", "there is none")?;
        let is_rising = self.residues.windows(2).all(|pair| pair[0] < pair[1]);
        ensure(is_rising, "share.residues", "they do not ascend")?;
        ensure(self.residues.iter().all(|residue| *residue < self.of), "share.residues", "one is not below `of`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_ascending_residues_below_their_number_are_a_share() {
        let is_valid = |residues: &[u64], of| Share { residues: residues.to_vec(), of, from_ns: 0 }.check().is_ok();
        assert!(is_valid(&[0], 1) && is_valid(&[0, 2, 9_999], 10_000) && is_valid(&[16], 17));
        let wrong: [(&[u64], u64); 7] =
            [(&[], 1), (&[0], 0), (&[1], 1), (&[1, 1], 3), (&[2, 1], 3), (&[0, 3], 3), (&[0], 10_001)];
        assert!(wrong.iter().all(|(residues, of)| !is_valid(residues, *of)));
    }

    proptest! {
        #[test]
        fn index_serial_and_count_agree(of in 1_u64..40, bits in 1_u64.., below in 0_u64..200) {
            let mut residues: Vec<u64> = (0..of).filter(|residue| bits >> residue & 1 == 1).collect();
            if residues.is_empty() {
                residues.push(of - 1);
            }
            let share = Share { residues, of, from_ns: 0 };
            let own: Vec<u64> = (0..below).filter(|index| share.residues.contains(&(index % of))).collect();
            prop_assert_eq!(share.count(below), own.len() as u64);
            for (serial, index) in own.iter().enumerate() {
                prop_assert_eq!(share.index(serial as u64), *index);
                prop_assert_eq!(share.serial(*index), Some(serial as u64));
            }
            prop_assert_eq!((0..below).filter_map(|index| share.serial(index)).count(), own.len());
        }
    }
}
