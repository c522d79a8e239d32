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

    /// Returns the history with one more move behind it.
    #[must_use]
    pub fn with(&self, ended: Move) -> Self {
        let mut moves = self.moves.clone();
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
}
