//! Byte ranges (RFC 9110, section 14): what was asked, and what that is of a content of known size.

use std::fmt;

use thiserror::Error;

/// A range as a client asks for it, before the size of the content is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteRange {
    /// `bytes=first-last`, both included.
    Bounded {
        /// The first byte.
        first: u64,
        /// The last byte, at or after the first.
        last: u64,
    },
    /// `bytes=first-`: everything from a byte on.
    From {
        /// The first byte.
        first: u64,
    },
    /// `bytes=-length`: the last bytes.
    Suffix {
        /// How many.
        length: u64,
    },
}

impl ByteRange {
    /// Reads a `Range` header.
    ///
    /// Returns `None` when it asks for something that is answered with the whole content: another unit, several ranges,
    /// or what is not a range at all (RFC 9110 lets a server ignore the header). `bytes=5-1` is the exception: it is
    /// [`ByteRange::NOWHERE`], since the conformance suite wants 416 for it.
    pub fn parse(value: &str) -> Option<Self> {
        let (unit, set) = value.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", length) => Some(Self::Suffix {
                length: number(length)?,
            }),
            (first, "") => Some(Self::From {
                first: number(first)?,
            }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                Some(if first <= last {
                    Self::Bounded { first, last }
                } else {
                    Self::NOWHERE
                })
            }
        }
    }

    /// A range that no content has: it always resolves to [`Unsatisfiable`].
    pub const NOWHERE: Self = Self::Suffix { length: 0 };

    /// Returns what the range is of a content of this size. Ends past the content are clipped.
    ///
    /// # Errors
    /// [`Unsatisfiable`] when no byte of the content is in the range.
    pub fn resolve(self, total: u64) -> Result<ContentRange, Unsatisfiable> {
        let (start, end) = match self {
            Self::Bounded { first, last } => (first, last.saturating_add(1).min(total)),
            Self::From { first } => (first, total),
            Self::Suffix { length } => (total.saturating_sub(length), total),
        };
        if start < end {
            Ok(ContentRange { start, end, total })
        } else {
            Err(Unsatisfiable { total })
        }
    }
}

/// Reads a number of digits only. What does not fit into 64 bits lies beyond any content.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// A part of a content whose size is known: `start..end` of `total`, in bytes, with `start <= end <= total`.
///
/// Prints as the value of `Content-Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentRange {
    start: u64,
    end: u64,
    total: u64,
}

impl ContentRange {
    /// Returns the whole of a content of this size; the only range that may be empty.
    pub fn whole(total: u64) -> Self {
        Self {
            start: 0,
            end: total,
            total,
        }
    }

    /// Reads the value of a `Content-Range` header with a known total, such as `bytes 0-9/100`.
    pub fn parse(value: &str) -> Option<Self> {
        let (unit, rest) = value.trim().split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last, total) = (number(first)?, number(last)?, number(total)?);
        let is_sound = unit.eq_ignore_ascii_case("bytes") && first <= last && last < total;
        is_sound.then(|| Self {
            start: first,
            end: last + 1,
            total,
        })
    }

    /// Returns the first byte of the range.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns the byte after the last of the range.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Returns how many bytes the range has.
    pub fn length(&self) -> u64 {
        self.end - self.start
    }

    /// Returns the size of the whole content.
    pub fn total(&self) -> u64 {
        self.total
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bytes {}-{}/{}",
            self.start,
            self.end.saturating_sub(1),
            self.total
        )
    }
}

/// No byte of the content is in the range that was asked for (HTTP 416).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the range asked for has no byte of this content of {total} bytes")]
pub struct Unsatisfiable {
    /// The size of the whole content.
    pub total: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_ranges() {
        for (value, range) in [
            (
                "bytes=500-1499",
                Some(ByteRange::Bounded {
                    first: 500,
                    last: 1499,
                }),
            ),
            (
                "Bytes = 0-0",
                Some(ByteRange::Bounded { first: 0, last: 0 }),
            ),
            ("bytes=500-", Some(ByteRange::From { first: 500 })),
            ("bytes=-500", Some(ByteRange::Suffix { length: 500 })),
            ("bytes=500-0", Some(ByteRange::NOWHERE)),
            (
                "bytes=99999999999999999999999-",
                Some(ByteRange::From { first: u64::MAX }),
            ),
            ("bytes=0-1,5-6", None),
            ("lines=0-1", None),
            ("bytes=", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("bytes=1", None),
            ("0-1", None),
        ] {
            assert_eq!(ByteRange::parse(value), range, "{value}");
        }
    }

    /// The cases of the conformance suite, on a blob of 2048 bytes.
    #[test]
    fn ranges_of_a_blob() {
        for (value, resolved) in [
            ("bytes=500-1499", Ok("bytes 500-1499/2048")),
            ("bytes=500-", Ok("bytes 500-2047/2048")),
            ("bytes=-500", Ok("bytes 1548-2047/2048")),
            ("bytes=-5000", Ok("bytes 0-2047/2048")),
            ("bytes=2000-5000", Ok("bytes 2000-2047/2048")),
            ("bytes=500-0", Err(2048)),
            ("bytes=5000-10000", Err(2048)),
            ("bytes=2048-", Err(2048)),
            ("bytes=-0", Err(2048)),
        ] {
            let found = ByteRange::parse(value).unwrap().resolve(2048);
            let found = found
                .map(|range| range.to_string())
                .map_err(|error| error.total);
            assert_eq!(found, resolved.map(String::from), "{value}");
        }
        assert_eq!(
            ByteRange::From { first: 0 }.resolve(0),
            Err(Unsatisfiable { total: 0 })
        );
        assert_eq!(ContentRange::whole(0).length(), 0);
    }

    #[test]
    fn content_ranges_of_registries() {
        assert_eq!(
            ContentRange::parse("bytes 0-9/10"),
            Some(ContentRange::whole(10))
        );
        for bad in [
            "bytes 0-10/10",
            "bytes 5-4/10",
            "bytes */10",
            "bytes 0-9/*",
            "items 0-9/10",
            "0-9/10",
            "",
        ] {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_resolves_lies_in_the_content(first: u64, last: u64, length: u64, total: u64) {
            let ranges = [ByteRange::Bounded { first, last }, ByteRange::From { first }, ByteRange::Suffix { length }];
            for range in ranges {
                if let Ok(found) = range.resolve(total) {
                    prop_assert!(found.start() < found.end() && found.end() <= total);
                    prop_assert_eq!(ContentRange::parse(&found.to_string()), Some(found));
                }
            }
        }

        #[test]
        fn no_header_panics(value in "\\PC{0,40}", total: u64) {
            if let Some(range) = ByteRange::parse(&value) {
                range.resolve(total).ok();
            }
            ContentRange::parse(&value);
        }
    }
}
