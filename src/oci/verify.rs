//! Proof that bytes are what a digest names.
//!
//! A [`VerifiedContent`] is the only ticket into the store, and only a finished [`Verifier`] or [`Measurer`] makes one.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha512};
use thiserror::Error;

use super::digest::{Algorithm, Digest};

/// A running hash of either algorithm.
#[derive(Clone)]
enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::Sha256(hasher.finalize().into()),
            Self::Sha512(hasher) => Digest::Sha512(hasher.finalize().into()),
        }
    }
}

/// Content whose bytes were hashed and found to be what its digest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedContent {
    digest: Digest,
    size: u64,
}

impl VerifiedContent {
    /// Returns the address of the content.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the size of the content, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Hashes bytes that should be a certain content.
#[derive(Clone)]
pub struct Verifier {
    expected: Digest,
    hasher: Hasher,
    size: u64,
}

impl Verifier {
    /// Starts to verify content that should have this digest.
    pub fn new(expected: Digest) -> Self {
        Self {
            expected,
            hasher: Hasher::new(expected.algorithm()),
            size: 0,
        }
    }

    /// Hashes the next bytes, in order.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Returns how many bytes have been hashed.
    pub fn position(&self) -> u64 {
        self.size
    }

    /// Ends the content here.
    ///
    /// # Errors
    /// [`Mismatch`] when the bytes are not the expected content.
    pub fn finish(self) -> Result<VerifiedContent, Box<Mismatch>> {
        let found = self.hasher.finish();
        if found == self.expected {
            Ok(VerifiedContent {
                digest: found,
                size: self.size,
            })
        } else {
            Err(Box::new(Mismatch {
                expected: self.expected,
                found,
                size: self.size,
            }))
        }
    }

    /// Verifies content that is wholly in memory.
    ///
    /// # Errors
    /// [`Mismatch`] when the bytes are not the expected content.
    pub fn check(expected: Digest, bytes: &[u8]) -> Result<VerifiedContent, Box<Mismatch>> {
        let mut verifier = Self::new(expected);
        verifier.update(bytes);
        verifier.finish()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("expected", &self.expected)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Hashes bytes whose digest is not known before.
#[derive(Clone)]
pub struct Measurer {
    hasher: Hasher,
    size: u64,
}

impl Measurer {
    /// Starts to measure content with this algorithm.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            hasher: Hasher::new(algorithm),
            size: 0,
        }
    }

    /// Hashes the next bytes, in order.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Ends the content here and returns what it is.
    pub fn finish(self) -> VerifiedContent {
        VerifiedContent {
            digest: self.hasher.finish(),
            size: self.size,
        }
    }

    /// Measures content that is wholly in memory.
    pub fn measure(algorithm: Algorithm, bytes: &[u8]) -> VerifiedContent {
        let mut measurer = Self::new(algorithm);
        measurer.update(bytes);
        measurer.finish()
    }
}

impl fmt::Debug for Measurer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measurer")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Bytes that are not what their digest names.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the content has digest {found} ({size} bytes), not {expected}")]
pub struct Mismatch {
    /// The digest that was asked for.
    pub expected: Digest,
    /// The digest that the bytes have.
    pub found: Digest,
    /// How many bytes there were.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From FIPS 180-4: the digests of "abc".
    const ABC: [&str; 2] = [
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ];

    #[test]
    fn known_digests() {
        for text in ABC {
            let digest: Digest = text.parse().unwrap();
            let content = Verifier::check(digest, b"abc").unwrap();
            assert_eq!((content.digest(), content.size()), (digest, 3));
            let wrong = Verifier::check(digest, b"abd").unwrap_err();
            assert_eq!((wrong.expected, wrong.size), (digest, 3));
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(pieces: Vec<Vec<u8>>) {
            for algorithm in Algorithm::ALL {
                let whole = Measurer::measure(algorithm, &pieces.concat());
                let mut verifier = Verifier::new(whole.digest());
                pieces.iter().for_each(|piece| verifier.update(piece));
                prop_assert_eq!(verifier.position(), whole.size());
                prop_assert_eq!(verifier.finish(), Ok(whole));
            }
        }
    }
}
