//! Who this larder is among others, so that a request that comes back to it is noticed.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use http::HeaderValue;

/// A name for this process that no other has. It tells nothing of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceId(u64);

impl InstanceId {
    /// Makes up a name.
    pub fn random() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    /// Returns what we add to each request to a registry (RFC 9110, section 7.6.3).
    pub fn via(self) -> HeaderValue {
        HeaderValue::try_from(format!("1.1 {self}")).expect("a name of letters and digits")
    }

    /// Returns whether a `Via` header names this larder: the request went round in a circle.
    pub fn is_in(self, via: &str) -> bool {
        let own = self.to_string();
        via.split(',')
            .filter_map(|hop| hop.split_whitespace().nth(1))
            .any(|name| name == own)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "larder-{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_itself_among_others() {
        let (own, other) = (InstanceId(0xabc), InstanceId::random());
        assert_ne!(InstanceId::random(), other);
        assert_eq!(own.via(), "1.1 larder-0000000000000abc");
        for (via, is_own) in [
            ("1.1 larder-0000000000000abc", true),
            ("1.0 fred, HTTP/2 larder-0000000000000abc (x)", true),
            ("1.1 larder-0000000000000abd", false),
            ("larder-0000000000000abc", false),
            ("1.1 xlarder-0000000000000abc", false),
            ("", false),
        ] {
            assert_eq!(own.is_in(via), is_own, "{via}");
        }
    }
}
