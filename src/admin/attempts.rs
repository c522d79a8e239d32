//! How often the operator's token can be got wrong: so rarely that nobody finds it out by trying.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// For how long wrong tokens are counted together.
const WINDOW: Duration = Duration::from_secs(1);
/// How many wrong ones an address may show in that time: more than somebody does who mistyped it, and far too few to guess
/// 16 characters.
const OF_ONE: u32 = 5;
/// How many all addresses together may: somebody can have very many of IPv6. It bounds the memory, too.
const OF_ALL: u32 = 100;

/// The wrong tokens of the present second.
#[derive(Debug)]
pub(super) struct Attempts {
    since: Instant,
    all: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Attempts {
    /// Begins to count.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            all: 0,
            by_address: HashMap::new(),
        }
    }

    /// Returns whether an address may show another token, right or wrong.
    pub(super) fn may(&mut self, address: IpAddr, now: Instant) -> bool {
        if now.duration_since(self.since) >= WINDOW {
            *self = Self::new(now);
        }
        let of_one = self.by_address.get(&address).copied();
        self.all < OF_ALL && of_one.unwrap_or(0) < OF_ONE
    }

    /// Counts a wrong one, which [`Attempts::may`] allowed.
    pub(super) fn count(&mut self, address: IpAddr) {
        self.all = self.all.saturating_add(1);
        let of_one = self.by_address.entry(address).or_default();
        *of_one = of_one.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_address_is_turned_away_and_others_are_not() {
        let start = Instant::now();
        let mut attempts = Attempts::new(start);
        for _ in 0..OF_ONE {
            assert!(attempts.may(address(1), start));
            attempts.count(address(1));
        }
        assert!(!attempts.may(address(1), start));
        assert!(attempts.may(address(2), start));
        let later = start + WINDOW;
        assert!(!attempts.may(
            address(1),
            later.checked_sub(Duration::from_millis(1)).unwrap()
        ));
        assert!(attempts.may(address(1), later));
    }

    #[test]
    fn many_addresses_are_turned_away_together() {
        let start = Instant::now();
        let mut attempts = Attempts::new(start);
        for last in 0..100 {
            assert!(attempts.may(address(last), start));
            attempts.count(address(last));
        }
        assert!(!attempts.may(address(200), start));
        assert_eq!(attempts.by_address.len(), 100);
        assert!(attempts.may(address(200), start + WINDOW));
    }
}
