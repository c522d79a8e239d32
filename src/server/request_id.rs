//! The id of a request: that of the client, when it says one that can be written into a log as it is, else a new one. It is
//! for finding the lines of one request, and proves nothing.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// By which header an id is told, in requests and in answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken of a client, in bytes: three times a UUID, which is what proxies send.
const LONGEST: usize = 108;

/// The id of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

/// Makes ids that nobody can guess and that do not come again, not after a new start either.
#[derive(Debug, Default)]
pub struct RequestIds {
    keys: RandomState,
    made: AtomicU64,
}

impl RequestIds {
    /// Returns the id of a request with these headers.
    pub fn of(&self, headers: &HeaderMap) -> RequestId {
        told(headers).unwrap_or_else(|| self.make())
    }

    fn make(&self) -> RequestId {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mixed = self.keys.hash_one(number);
        let mut digits = [0; 16];
        hex::encode_to_slice(mixed.to_be_bytes(), &mut digits)
            .expect("eight bytes have sixteen digits");
        RequestId(HeaderValue::from_bytes(&digits).expect("digits can be in a header"))
    }
}

/// Returns the id that a client says, if it says one, and one that is sane: no spaces, quotes or control characters, which
/// would let it write into the log what it likes.
fn told(headers: &HeaderMap) -> Option<RequestId> {
    let mut values = headers.get_all(REQUEST_ID).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    let is_sane = (1..=LONGEST).contains(&value.len()) && value.as_bytes().iter().all(is_plain);
    is_sane.then(|| RequestId(value.clone()))
}

impl RequestId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl From<RequestId> for HeaderValue {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(REQUEST_ID, value);
        }
        RequestIds::default().of(&headers).to_string()
    }

    #[test]
    fn sane_ids_of_clients_are_kept() {
        let long = "a".repeat(LONGEST);
        for id in [
            "7b0c4d1e-33f1-4bb0-9c0e-6a5b0c1d2e3f",
            "Root=1-67891233-abcdef012345678912345678",
            "a",
            "cdn/edge_7:42.1+x@y",
            &long,
        ] {
            assert_eq!(of(&[id]), id);
        }
    }

    #[test]
    fn others_are_replaced() {
        let long = "a".repeat(LONGEST + 1);
        for lines in [
            &[][..],
            &[""],
            &["a b"],
            &["a\tb"],
            &["a\"b"],
            &["a\\b"],
            &["{}"],
            &["\u{e9}"],
            &[&long],
            &["a", "b"],
        ] {
            let id = of(lines);
            assert_eq!(id.len(), 16, "{lines:?}");
            let mut digits = id.bytes();
            assert!(digits.all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
    }

    #[test]
    fn ids_are_made_once() {
        let (ids, others) = (RequestIds::default(), RequestIds::default());
        let headers = HeaderMap::new();
        let first = ids.of(&headers);
        assert_ne!(first, ids.of(&headers));
        assert_ne!(first, others.of(&headers));
    }
}
