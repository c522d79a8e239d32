//! Content digests (image-spec, descriptor.md, "Digests").
//!
//! Only the registered algorithms that can be computed here exist as values; anything else is refused when it is
//! parsed, because content that cannot be verified is never kept.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::digest_text::DigestText;

/// A hash function that content can be addressed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, the algorithm that every registry uses.
    Sha256,
    /// SHA-512, registered by the image specification.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, for callers that walk the store.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Returns the registered name, as it stands before the colon of a digest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns how many hexadecimal digits a digest of this algorithm has.
    pub fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The address of some content: an algorithm and the hash of the bytes.
///
/// Prints as `algorithm:lower-case-hex`, the only form that it parses from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    /// A SHA-256 digest.
    Sha256([u8; 32]),
    /// A SHA-512 digest.
    Sha512([u8; 64]),
}

impl Digest {
    /// Returns the algorithm that this digest was made with.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Returns the hash itself.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// Returns how the digest is written.
    pub fn text(&self) -> DigestText {
        DigestText::of(self)
    }

    /// Returns the hash as lower-case hexadecimal digits, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.bytes())
    }

    /// Builds a digest from an algorithm and its hexadecimal digits.
    ///
    /// # Errors
    /// [`DigestError`] when the digits are too few, too many, upper-case or not hexadecimal.
    pub fn from_hex(algorithm: Algorithm, digits: &str) -> Result<Self, DigestError> {
        let is_lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if digits.len() != algorithm.hex_length() {
            return Err(DigestError::Length {
                algorithm,
                found: digits.len(),
            });
        }
        if !digits.bytes().all(is_lower_hex) {
            return Err(DigestError::NotHex { algorithm });
        }
        let not_hex = |_| DigestError::NotHex { algorithm };
        match algorithm {
            Algorithm::Sha256 => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(digits, &mut bytes).map_err(not_hex)?;
                Ok(Self::Sha256(bytes))
            }
            Algorithm::Sha512 => {
                let mut bytes = [0; 64];
                hex::decode_to_slice(digits, &mut bytes).map_err(not_hex)?;
                Ok(Self::Sha512(bytes))
            }
        }
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (algorithm, encoded) = text.split_once(':').ok_or(DigestError::NoColon)?;
        if !is_algorithm(algorithm) {
            return Err(DigestError::AlgorithmGrammar);
        }
        let is_encoded = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-');
        if encoded.is_empty() || !encoded.bytes().all(is_encoded) {
            return Err(DigestError::EncodedGrammar);
        }
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|known| known.name() == algorithm)
            .ok_or_else(|| DigestError::UnknownAlgorithm(algorithm.chars().take(32).collect()))?;
        Self::from_hex(algorithm, encoded)
    }
}

/// Tells whether a text is `component ([+._-] component)*` with components of `[a-z0-9]+`.
fn is_algorithm(text: &str) -> bool {
    text.split(['+', '.', '_', '-']).all(|component| {
        !component.is_empty()
            && component
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DigestError {
    /// There is no colon between algorithm and hash.
    #[error("a digest is written algorithm:hash, and this has no colon")]
    NoColon,
    /// What stands before the colon is not an algorithm name.
    #[error("the algorithm of a digest has lower-case letters, digits and single separators only")]
    AlgorithmGrammar,
    /// What stands after the colon is empty or has characters that no encoding uses.
    #[error("the hash of a digest has letters, digits, '=', '_' and '-' only")]
    EncodedGrammar,
    /// Well formed, but of an algorithm that cannot be verified here.
    #[error("digests of algorithm '{0}' are not supported, only sha256 and sha512")]
    UnknownAlgorithm(String),
    /// Too few or too many digits.
    #[error("a {algorithm} digest has {} hexadecimal digits, not {found}", algorithm.hex_length())]
    Length {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// How many characters stood there.
        found: usize,
    },
    /// Characters other than `0-9a-f`.
    #[error("a {algorithm} digest has lower-case hexadecimal digits only")]
    NotHex {
        /// The algorithm that was named.
        algorithm: Algorithm,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar_of_digests() {
        let sha256 = "a".repeat(64);
        let sha512 = "0".repeat(128);
        let good = [format!("sha256:{sha256}"), format!("sha512:{sha512}")];
        for text in good {
            assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        }
        let bad = [
            (sha256.clone(), DigestError::NoColon),
            (format!("SHA256:{sha256}"), DigestError::AlgorithmGrammar),
            (format!(":{sha256}"), DigestError::AlgorithmGrammar),
            (format!("sha256++b:{sha256}"), DigestError::AlgorithmGrammar),
            ("sha256:".into(), DigestError::EncodedGrammar),
            (
                format!("sha256:{}/", &sha256[1..]),
                DigestError::EncodedGrammar,
            ),
            (
                "sha256:baddigeststring".into(),
                DigestError::Length {
                    algorithm: Algorithm::Sha256,
                    found: 15,
                },
            ),
            (
                format!("sha512:{sha256}"),
                DigestError::Length {
                    algorithm: Algorithm::Sha512,
                    found: 64,
                },
            ),
            (
                format!("sha256:{}", sha256.to_uppercase()),
                DigestError::NotHex {
                    algorithm: Algorithm::Sha256,
                },
            ),
            (
                format!("sha256:{}", "g".repeat(64)),
                DigestError::NotHex {
                    algorithm: Algorithm::Sha256,
                },
            ),
            (
                format!("blake3:{sha256}"),
                DigestError::UnknownAlgorithm("blake3".into()),
            ),
            (
                format!("multihash+base58:{sha256}"),
                DigestError::UnknownAlgorithm("multihash+base58".into()),
            ),
        ];
        for (text, error) in bad {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn digests_survive_printing(bytes: [u8; 32], long: [u8; 64]) {
            for digest in [Digest::Sha256(bytes), Digest::Sha512(long)] {
                prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
                let json = serde_json::to_string(&digest).unwrap();
                prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
            }
        }

        #[test]
        fn no_text_panics_or_prints_differently(text in "[a-z0-9:+._=-]{0,80}") {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
