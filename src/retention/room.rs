//! How much has to go: a pure decision.

/// How things stand on the disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What all blobs have together.
    pub kept: u64,
    /// What they may have.
    pub max: u64,
    /// How large the file system is.
    pub total: u64,
    /// How much of it is free.
    pub free: u64,
    /// How much has to stay free.
    pub floor: u64,
    /// How much more would have had to be free for something that was not kept.
    pub lacking: u64,
}

impl Room {
    /// The part of the file system that blobs may take where nothing else is said, in hundredths.
    const USUAL_PART: u64 = 80;
    /// How far below its limit the cache goes when it is over it, in hundredths: so that not each new blob has another one
    /// removed.
    const LOW_WATER: u64 = 95;
    /// How much more than has to be free is freed at most.
    const MARGIN: u64 = 1 << 30;
    /// How much of the cache may go for one blob, as a divisor of its limit. A registry can claim any size.
    const PART_FOR_ONE: u64 = 4;

    /// Returns how many bytes blobs may have on a file system where nothing else is said: four fifths of it.
    pub fn usual(total: u64) -> u64 {
        total / 100 * Self::USUAL_PART
    }

    /// Returns how many bytes have to go.
    pub fn excess(self) -> u64 {
        let low_water = self.max / 100 * Self::LOW_WATER;
        let over_limit = match self.kept > self.max {
            true => self.kept - low_water,
            false => 0,
        };
        let margin = Self::MARGIN.min(self.total / 100);
        let under_floor = match self.free < self.floor {
            true => self.floor - self.free + margin,
            false => 0,
        };
        let lacking = match self.lacking {
            0 => 0,
            lacking if lacking > self.max / Self::PART_FOR_ONE => 0,
            lacking => lacking + margin,
        };
        over_limit.max(under_floor).max(lacking).min(self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn what_has_to_go_depends_on_what_is_short() {
        let well = Room {
            kept: 50 * GIB,
            max: 100 * GIB,
            total: 1000 * GIB,
            free: 400 * GIB,
            floor: 50 * GIB,
            lacking: 0,
        };
        let kept = |kept| Room { kept, ..well };
        let free = |free| Room { free, ..well };
        let lacking = |lacking| Room { lacking, ..well };
        let small = Room {
            total: 10 * GIB,
            ..free(49 * GIB)
        };
        let both = Room {
            free: 30 * GIB,
            ..kept(101 * GIB)
        };
        let nothing = Room { max: 0, ..well };
        for (what, room, excess) in [
            ("well", well, 0),
            ("at the limit", kept(100 * GIB), 0),
            ("over it", kept(101 * GIB), 101 * GIB - 100 * GIB / 100 * 95),
            ("at the floor", free(50 * GIB), 0),
            ("under it", free(49 * GIB), 2 * GIB),
            ("on a small file system", small, GIB + GIB / 10),
            ("both", both, 21 * GIB),
            ("a blob was not kept", lacking(3 * GIB), 4 * GIB),
            ("one that is not worth it", lacking(26 * GIB), 0),
            ("one of any size", lacking(u64::MAX), 0),
            (
                "nothing to give",
                Room {
                    kept: GIB,
                    ..free(0)
                },
                GIB,
            ),
            ("nothing is allowed", nothing, 50 * GIB),
        ] {
            assert_eq!(room.excess(), excess, "{what}");
        }
    }

    #[test]
    fn most_of_the_file_system_is_the_usual_limit() {
        assert_eq!(Room::usual(1000 * GIB), 1000 * GIB / 100 * 80);
        assert_eq!(Room::usual(0), 0);
    }
}
