//! Inputs made of others: bytes changed, taken out, doubled, and put in.

/// The longest input that is made, in bytes.
const MAX_LENGTH: usize = 4 << 10;
/// How many changes one input has at most.
const MAX_CHANGES: u64 = 6;

/// An endless series of inputs, always the same for the same inputs.
pub struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    state: u64,
}

impl<'a> Mutations<'a> {
    pub fn of(corpus: &'a [Vec<u8>]) -> Self {
        Self { corpus, state: 1 }
    }

    /// Makes the next input.
    pub fn next(&mut self) -> Vec<u8> {
        let mut bytes = self.pick().to_vec();
        for _ in 0..=self.below(MAX_CHANGES) {
            self.change(&mut bytes);
        }
        bytes.truncate(MAX_LENGTH);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let part = self.part(bytes.len());
        match self.below(6) {
            0 => bytes[part]
                .iter_mut()
                .take(1)
                .for_each(|byte| *byte ^= 1 << (self.state % 8)),
            1 => drop(bytes.drain(part)),
            2 => bytes.truncate(part.end),
            3 => {
                let doubled = bytes[part.clone()].to_vec();
                bytes.splice(part.end..part.end, doubled);
            }
            4 => {
                let other = self.pick();
                let piece = other[self.part(other.len())].to_vec();
                bytes.splice(part, piece);
            }
            // Of what separates and escapes, mostly.
            _ => {
                const SPECIAL: &[u8] = b"\"\\,=; \t\n/:%.?&*-{}[]0\0\x7f\x80\xc3\xff";
                let at = usize::try_from(self.below(SPECIAL.len() as u64)).unwrap();
                bytes.insert(part.start, SPECIAL[at]);
            }
        }
    }

    fn pick(&mut self) -> &'a [u8] {
        let at = self.below(self.corpus.len() as u64);
        &self.corpus[usize::try_from(at).unwrap()]
    }

    /// Returns a short part of something of this length.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = usize::try_from(self.below(length as u64 + 1)).unwrap();
        let wanted = usize::try_from(self.below(32)).unwrap();
        start..(start + wanted).min(length)
    }

    /// Returns a number below this one (SplitMix64).
    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
