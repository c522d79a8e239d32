//! Manifests that come packed although they were asked for as they are. Never for blobs: those are packed themselves, and
//! a server that says so of its answer would have us break them.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use thiserror::Error;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    Plain,
    /// With gzip, or so the server says.
    Gzip,
    /// In a way that is not undone here.
    Other,
}

/// Why a body cannot be unpacked.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum UnpackError {
    /// It is not one whole piece of gzip and nothing more.
    #[error("is not what gzip makes")]
    Damaged,
    /// There is more in it than is taken.
    #[error("is too large")]
    TooLarge,
}

/// How much is unpacked before others have their turn: well below a millisecond's work.
const STEP: usize = 32 << 10;

impl Packing {
    /// Reads a `Content-Encoding`.
    pub(super) fn of(encoding: Option<&str>) -> Self {
        match encoding
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
            .as_str()
        {
            "" | "identity" => Self::Plain,
            "gzip" | "x-gzip" => Self::Gzip,
            _ => Self::Other,
        }
    }
}

/// Unpacks what gzip has packed, up to this many bytes.
pub(super) async fn unpack(packed: &[u8], limit: usize) -> Result<Bytes, UnpackError> {
    let mut decoder = GzDecoder::new(packed);
    let (mut whole, mut step) = (Vec::new(), vec![0; STEP]);
    loop {
        let read = decoder.read(&mut step).map_err(|_| UnpackError::Damaged)?;
        if read == 0 {
            break;
        }
        if whole.len() + read > limit {
            return Err(UnpackError::TooLarge);
        }
        whole.extend_from_slice(&step[..read]);
        tokio::task::yield_now().await;
    }
    if decoder.get_ref().is_empty() {
        Ok(whole.into())
    } else {
        Err(UnpackError::Damaged)
    }
}

#[cfg(test)]
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::best());
    encoder
        .read_to_end(&mut packed)
        .expect("memory can be read");
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_encodings() {
        for (name, packing) in [
            (None, Packing::Plain),
            (Some(""), Packing::Plain),
            (Some("Identity "), Packing::Plain),
            (Some("gzip"), Packing::Gzip),
            (Some("X-GZIP"), Packing::Gzip),
            (Some("br"), Packing::Other),
            (Some("gzip, gzip"), Packing::Other),
        ] {
            assert_eq!(Packing::of(name), packing, "{name:?}");
        }
    }

    #[tokio::test]
    async fn what_was_packed_comes_back_whole() {
        for length in [0, 1, STEP, 3 * STEP + 1] {
            let bytes: Vec<u8> = (0..length)
                .map(|at| u8::try_from(at % 251).unwrap())
                .collect();
            assert_eq!(
                unpack(&pack(&bytes), length).await.unwrap(),
                bytes,
                "{length}"
            );
        }
    }

    #[tokio::test]
    async fn bombs_damage_and_additions_are_refused() {
        let (whole, bomb) = (pack(b"{}"), pack(&vec![b' '; 8 * STEP]));
        let mut wrong_sum = whole.clone();
        let sum = whole.len() - 8;
        wrong_sum[sum] ^= 1;
        for (packed, error) in [
            (bomb, UnpackError::TooLarge),
            (Vec::new(), UnpackError::Damaged),
            (b"{}".to_vec(), UnpackError::Damaged),
            (whole[..whole.len() - 1].to_vec(), UnpackError::Damaged),
            (wrong_sum, UnpackError::Damaged),
            ([whole.as_slice(), b"x"].concat(), UnpackError::Damaged),
            (
                [whole.as_slice(), whole.as_slice()].concat(),
                UnpackError::Damaged,
            ),
        ] {
            assert_eq!(unpack(&packed, 7 * STEP).await, Err(error), "{packed:?}");
        }
    }
}
