//! Where a tag pointed before: its last moves.
//!
//! What a tag points at now, and since when, its own record says; what came before stands here, and is written only when
//! the tag moves.

use serde::{Deserialize, Serialize};

use crate::oci::Digest;
use crate::runtime::Timestamp;

/// How many moves are kept of one tag, the present one included.
pub const MOVES: usize = 100;

/// A time during which a tag pointed at one manifest, as far as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// At which.
    pub digest: Digest,
    /// When the registry said so first.
    pub first_seen: Timestamp,
    /// When it said so last.
    pub last_seen: Timestamp,
}

/// The moves of one tag that lie behind it, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    moves: Vec<Move>,
}

impl History {
    /// Returns the moves, the oldest first.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// Returns the history with one more move behind it. One that is there already, as after a crash between the writing of
    /// the history and that of the tag, is not there twice.
    #[must_use]
    pub fn with(&self, ended: Move) -> Self {
        let mut moves = self.moves.clone();
        let begins = |known: &Move| (known.digest, known.first_seen);
        if moves.last().map(begins) == Some(begins(&ended)) {
            moves.pop();
        }
        moves.push(ended);
        let surplus = moves.len().saturating_sub(MOVES - 1);
        moves.drain(..surplus);
        Self { moves }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_moves_make_way() {
        let at = |number: u64| Move {
            digest: Digest::Sha256([u8::try_from(number % 256).unwrap(); 32]),
            first_seen: Timestamp::from_millis(number),
            last_seen: Timestamp::from_millis(number + 1),
        };
        let mut history = History::default();
        for number in 0..150 {
            history = history.with(at(number));
        }
        assert_eq!(history.moves().len(), MOVES - 1);
        assert_eq!(history.moves().first(), Some(&at(51)));
        assert_eq!(history.moves().last(), Some(&at(149)));
    }

    #[test]
    fn a_move_that_is_written_twice_is_there_once() {
        let at = |digest: u8, first: u64, last: u64| Move {
            digest: Digest::Sha256([digest; 32]),
            first_seen: Timestamp::from_millis(first),
            last_seen: Timestamp::from_millis(last),
        };
        let history = History::default().with(at(1, 1, 2));
        let again = history.with(at(1, 1, 5));
        assert_eq!(again.moves(), [at(1, 1, 5)]);
        let back = again.with(at(2, 6, 7)).with(at(1, 8, 9));
        assert_eq!(back.moves(), [at(1, 1, 5), at(2, 6, 7), at(1, 8, 9)]);
    }
}
