//! A digest as it is written, without an allocation: digests are printed several times in every request.

use std::fmt;
use std::ops::Deref;

use super::digest::Digest;

/// The longest digest, in bytes: `sha512:` and its digits.
const LONGEST: usize = "sha512:".len() + 128;

/// The text of a digest: `algorithm:lower-case-hex`.
#[derive(Clone, Copy)]
pub struct DigestText {
    /// ASCII, as far as the length goes.
    bytes: [u8; LONGEST],
    length: usize,
}

impl DigestText {
    pub(super) fn of(digest: &Digest) -> Self {
        let name = digest.algorithm().name().as_bytes();
        let mut bytes = [0; LONGEST];
        let length = name.len() + 1 + digest.algorithm().hex_length();
        bytes[..name.len()].copy_from_slice(name);
        bytes[name.len()] = b':';
        hex::encode_to_slice(digest.bytes(), &mut bytes[name.len() + 1..length])
            .expect("there are two digits for each byte of a hash");
        Self { bytes, length }
    }
}

impl Deref for DigestText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length])
            .expect("names of algorithms and digits are ASCII")
    }
}

impl fmt::Debug for DigestText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::Algorithm;
    use super::*;

    #[test]
    fn it_is_the_algorithm_and_its_digits() {
        for (digest, name, digits) in [
            (Digest::Sha256([0xa9; 32]), "sha256", "a9".repeat(32)),
            (Digest::Sha512([0x0f; 64]), "sha512", "0f".repeat(64)),
        ] {
            let text = digest.text();
            assert_eq!(&*text, format!("{name}:{digits}"));
        }
    }

    #[test]
    fn the_longest_has_room() {
        let length = |algorithm: Algorithm| algorithm.name().len() + 1 + algorithm.hex_length();
        assert_eq!(Algorithm::ALL.into_iter().map(length).max(), Some(LONGEST));
    }
}
