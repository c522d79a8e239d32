//! How far a fill has come, and what of it may go out. Pure: readers and tests ask it, the fill publishes it.

use std::fs::File;
use std::sync::Arc;

use super::FillError;
use crate::store::spool::Intervals;

/// How many bytes at the end of a content are held back until its digest is right. No client ever receives a complete
/// body that is wrong.
pub const HELD_BACK: u64 = 64 * 1024;

/// The published state of a fill.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The size of the content, once it is known, in bytes.
    pub total: Option<u64>,
    /// Which bytes are in the spool.
    pub written: Intervals,
    /// The spool, once there is one.
    pub file: Option<Arc<File>>,
    /// Whether it goes on.
    pub verdict: Verdict,
}

/// How a fill stands.
#[derive(Clone, Debug, Default)]
pub enum Verdict {
    /// It goes on.
    #[default]
    Running,
    /// All bytes are there, and they are what the digest names.
    Right,
    /// It ended without.
    Failed(FillError),
}

/// What a reader at some position can do.
#[derive(Debug)]
pub enum Readable {
    /// Hand out this many bytes.
    Bytes(u64),
    /// Wait for the next change.
    Nothing,
    /// There is no more.
    End,
    /// Give up.
    Failed(FillError),
}

impl Progress {
    /// Returns what a reader may have that stands at `position` and wants what lies before `end` (`None`: everything).
    pub fn readable(&self, position: u64, end: Option<u64>) -> Readable {
        let end = end.or(self.total);
        match &self.verdict {
            Verdict::Failed(error) => return Readable::Failed(error.clone()),
            Verdict::Running | Verdict::Right
                if end == Some(position) && self.may_end_at(position) =>
            {
                return Readable::End;
            }
            Verdict::Running | Verdict::Right => {}
        }
        let until = self
            .written
            .covered_until(position)
            .min(self.released_until(end));
        if until > position {
            Readable::Bytes(until - position)
        } else {
            Readable::Nothing
        }
    }

    /// A reader of an empty content, or at the content's end, waits for the verdict.
    fn may_end_at(&self, position: u64) -> bool {
        matches!(self.verdict, Verdict::Right) || self.total.is_some_and(|total| position < total)
    }

    /// Returns the byte before which a reader that wants what lies before `end` may read by now.
    fn released_until(&self, end: Option<u64>) -> u64 {
        if matches!(self.verdict, Verdict::Right) {
            return end.unwrap_or(u64::MAX);
        }
        match (self.total, end) {
            // The last byte is not in the range: nothing is held back.
            (Some(total), Some(end)) if end < total => end,
            (Some(total), _) => total.saturating_sub(HELD_BACK),
            // Whatever came last may be the end.
            (None, _) => self
                .written
                .iter()
                .last()
                .map_or(0, |last| last.end.saturating_sub(HELD_BACK)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn progress(total: Option<u64>, written: &[(u64, u64)], verdict: Verdict) -> Progress {
        let mut intervals = Intervals::default();
        written
            .iter()
            .for_each(|(start, end)| intervals.insert(*start..*end));
        Progress {
            total,
            written: intervals,
            file: None,
            verdict,
        }
    }

    fn bytes(progress: &Progress, position: u64, end: Option<u64>) -> Option<u64> {
        match progress.readable(position, end) {
            Readable::Bytes(count) => Some(count),
            Readable::Nothing => Some(0),
            Readable::End => None,
            Readable::Failed(_) => panic!("not failed"),
        }
    }

    #[test]
    fn the_end_is_held_back_until_the_verdict() {
        let running = progress(Some(MIB), &[(0, MIB)], Verdict::Running);
        assert_eq!(bytes(&running, 0, None), Some(MIB - HELD_BACK));
        assert_eq!(bytes(&running, 0, Some(MIB)), Some(MIB - HELD_BACK));
        assert_eq!(bytes(&running, MIB - HELD_BACK, None), Some(0));
        let right = progress(Some(MIB), &[(0, MIB)], Verdict::Right);
        assert_eq!(bytes(&right, MIB - HELD_BACK, None), Some(HELD_BACK));
        assert_eq!(bytes(&right, MIB, None), None);
    }

    #[test]
    fn a_range_without_the_last_byte_is_not_held_back() {
        let running = progress(Some(MIB), &[(0, MIB)], Verdict::Running);
        assert_eq!(bytes(&running, 0, Some(MIB - 1)), Some(MIB - 1));
        assert_eq!(bytes(&running, MIB - 1, Some(MIB - 1)), None);
    }

    #[test]
    fn a_small_or_empty_content_waits_for_the_verdict() {
        let small = progress(Some(100), &[(0, 100)], Verdict::Running);
        assert_eq!(bytes(&small, 0, None), Some(0));
        let empty = progress(Some(0), &[], Verdict::Running);
        assert_eq!(bytes(&empty, 0, None), Some(0));
        assert_eq!(
            bytes(&progress(Some(0), &[], Verdict::Right), 0, None),
            None
        );
    }

    #[test]
    fn of_an_unknown_size_the_latest_bytes_are_held_back() {
        let running = progress(None, &[(0, MIB)], Verdict::Running);
        assert_eq!(bytes(&running, 0, None), Some(MIB - HELD_BACK));
    }

    #[test]
    fn readers_see_only_what_is_written() {
        let holes = progress(
            Some(4 * MIB),
            &[(0, MIB), (2 * MIB, 3 * MIB)],
            Verdict::Running,
        );
        assert_eq!(bytes(&holes, 0, None), Some(MIB));
        assert_eq!(bytes(&holes, MIB, None), Some(0));
        assert_eq!(bytes(&holes, 2 * MIB + 1, None), Some(MIB - 1));
    }

    #[test]
    fn every_reader_sees_the_failure() {
        let failed = progress(Some(MIB), &[(0, MIB)], Verdict::Failed(FillError::Stopping));
        for (position, end) in [(0, None), (MIB, None), (0, Some(1))] {
            assert!(matches!(
                failed.readable(position, end),
                Readable::Failed(FillError::Stopping)
            ));
        }
    }

    proptest! {
        #[test]
        fn before_the_verdict_no_reader_gets_the_last_byte(
            size in 1..MIB,
            is_announced: bool,
            came in 0..MIB,
            position in 0..MIB,
            end in proptest::option::of(0..2 * MIB),
        ) {
            // The content has `size` bytes, of which `came` are here; a reader asks for what lies before `end`.
            let came = came.min(size);
            let running = progress(is_announced.then_some(size), &[(0, came)], Verdict::Running);
            let end = end.filter(|_| is_announced).map(|end| end.min(size));
            if let Readable::Bytes(count) = running.readable(position, end) {
                let until = position + count;
                prop_assert!(until <= came);
                let is_part = end.is_some_and(|end| end < size);
                prop_assert!(is_part || until + HELD_BACK <= size, "{until} of {size}");
            }
        }
    }
}
