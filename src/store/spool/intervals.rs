//! Which bytes of a spool have been written.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A set of byte positions, as sorted ranges that neither overlap nor touch.
///
/// Written as `[[start, end], …]`, with `end` excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Intervals {
    /// The end of each run, by its start.
    runs: BTreeMap<u64, u64>,
}

impl Intervals {
    /// Adds the bytes of a range; fine when some or all are there.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        if let Some((run, run_end)) = self.run_at_or_before(start)
            && run_end >= start
        {
            start = run;
        }
        while let Some((&run, &run_end)) = self.runs.range(start..=end).next() {
            end = end.max(run_end);
            self.runs.remove(&run);
        }
        self.runs.insert(start, end);
    }

    /// Returns the end of the run that has this position, or the position itself when none has it.
    pub fn covered_until(&self, position: u64) -> u64 {
        self.run_at_or_before(position)
            .map_or(position, |(_, end)| end.max(position))
    }

    /// Returns the first bytes in `from..end` that are missing, up to those that are there again.
    pub fn next_gap(&self, from: u64, end: u64) -> Option<Range<u64>> {
        let start = self.covered_until(from);
        if start >= end {
            return None;
        }
        let next = self.runs.range(start..end).next();
        Some(start..next.map_or(end, |(&run, _)| run))
    }

    /// Tells whether every byte of a range is there.
    pub fn covers(&self, range: Range<u64>) -> bool {
        range.is_empty() || self.covered_until(range.start) >= range.end
    }

    /// Returns how many bytes are there.
    pub fn total(&self) -> u64 {
        self.iter().map(|run| run.end - run.start).sum()
    }

    /// Returns the runs in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.runs.iter().map(|(&start, &end)| start..end)
    }

    /// Returns the position after the last byte, zero when there is none.
    pub fn end(&self) -> u64 {
        self.runs.last_key_value().map_or(0, |(_, &end)| end)
    }

    /// Returns the bytes before a position.
    pub(super) fn before(&self, position: u64) -> Self {
        let runs = self.runs.range(..position);
        Self {
            runs: runs
                .map(|(&start, &end)| (start, end.min(position)))
                .collect(),
        }
    }

    fn run_at_or_before(&self, position: u64) -> Option<(u64, u64)> {
        let run = self.runs.range(..=position).next_back();
        run.map(|(&start, &end)| (start, end))
    }
}

impl From<Intervals> for Vec<(u64, u64)> {
    fn from(intervals: Intervals) -> Self {
        intervals.runs.into_iter().collect()
    }
}

impl TryFrom<Vec<(u64, u64)>> for Intervals {
    type Error = IntervalsError;

    fn try_from(runs: Vec<(u64, u64)>) -> Result<Self, Self::Error> {
        let is_apart = runs.windows(2).all(|pair| pair[0].1 < pair[1].0);
        if is_apart && runs.iter().all(|(start, end)| start < end) {
            Ok(Self {
                runs: runs.into_iter().collect(),
            })
        } else {
            Err(IntervalsError)
        }
    }
}

/// Ranges that are empty, out of order, overlapping or touching.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the ranges are not sorted, apart and filled")]
pub struct IntervalsError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_sound_ranges_are_read() {
        for (text, is_sound) in [
            ("[]", true),
            ("[[0,5],[6,7]]", true),
            ("[[0,5],[5,7]]", false),
            ("[[0,5],[4,7]]", false),
            ("[[6,7],[0,5]]", false),
            ("[[5,5]]", false),
            ("[[7,5]]", false),
            ("[[-1,5]]", false),
            ("[[0]]", false),
        ] {
            let read = serde_json::from_str::<Intervals>(text);
            assert_eq!(read.is_ok(), is_sound, "{text}");
            if let Ok(read) = read {
                assert_eq!(serde_json::to_string(&read).unwrap(), text);
            }
        }
    }

    #[test]
    fn the_largest_positions_are_fine() {
        let mut intervals = Intervals::default();
        intervals.insert(u64::MAX - 1..u64::MAX);
        intervals.insert(0..u64::MAX - 1);
        assert_eq!(intervals.total(), u64::MAX);
        assert_eq!(intervals.covered_until(u64::MAX), u64::MAX);
    }

    const SIZE: usize = 64;

    fn position() -> impl Strategy<Value = u64> {
        0..=SIZE as u64
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_bitmap(
            ranges in prop::collection::vec((position(), position()), 0..12),
            from in position(),
            end in position(),
        ) {
            let mut intervals = Intervals::default();
            let mut bitmap = [false; SIZE];
            for (start, end) in ranges {
                intervals.insert(start..end);
                for position in start..end {
                    bitmap[usize::try_from(position).unwrap()] = true;
                }
            }
            let is_set = |position: u64| {
                bitmap.get(usize::try_from(position).unwrap()).copied().unwrap_or(false)
            };
            let size = SIZE as u64;

            let covered_until = (from..=size).find(|&position| !is_set(position)).unwrap();
            prop_assert_eq!(intervals.covered_until(from), covered_until);
            let gap = (from..end).find(|&position| !is_set(position)).map(|start| {
                start..(start..end).find(|&position| is_set(position)).unwrap_or(end)
            });
            prop_assert_eq!(intervals.next_gap(from, end), gap);
            prop_assert_eq!(intervals.covers(from..end), (from..end).all(is_set));
            prop_assert_eq!(intervals.total(), bitmap.iter().filter(|bit| **bit).count() as u64);
            let last = (0..size).rfind(|&position| is_set(position));
            prop_assert_eq!(intervals.end(), last.map_or(0, |last| last + 1));

            let runs: Vec<_> = intervals.iter().collect();
            prop_assert!(runs.iter().all(|run| run.start < run.end));
            prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
            let listed: Vec<_> = runs.into_iter().flatten().collect();
            let expected: Vec<_> = (0..size).filter(|&position| is_set(position)).collect();
            prop_assert_eq!(&listed, &expected);
            let before: Vec<_> = intervals.before(end).iter().flatten().collect();
            prop_assert_eq!(before, expected.into_iter().filter(|at| *at < end).collect::<Vec<_>>());

            let json = serde_json::to_string(&intervals).unwrap();
            prop_assert_eq!(serde_json::from_str::<Intervals>(&json).unwrap(), intervals);
        }
    }
}
