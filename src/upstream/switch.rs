//! Whether a registry may be asked at all: its operator says so, in the configuration and while larder runs.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Serialize};

use crate::runtime::Timestamp;

/// Whether a registry is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is asked.
    #[default]
    Online,
    /// It is never asked: what is here counts as fresh, and what is not cannot be had.
    Offline,
}

impl Mode {
    /// Returns the name of the mode, the same everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// The mode of one configured upstream, or of all that fit a pattern.
#[derive(Debug)]
pub struct Switch {
    /// Since when it is offline, in milliseconds since 1970; 0 when it is online.
    offline_since: AtomicU64,
    /// 1 while it is offline.
    shown: Gauge,
}

impl Switch {
    /// Begins with a mode, and shows it with this gauge.
    pub(super) fn new(mode: Mode, now: Timestamp, shown: Gauge) -> Self {
        let switch = Self {
            offline_since: AtomicU64::new(0),
            shown,
        };
        switch.store(mode, now);
        switch
    }

    /// Returns the mode.
    pub fn mode(&self) -> Mode {
        match self.offline_since() {
            Some(_) => Mode::Offline,
            None => Mode::Online,
        }
    }

    /// Returns since when it is offline, `None` when it is online.
    pub fn offline_since(&self) -> Option<Timestamp> {
        let millis = self.offline_since.load(Ordering::Relaxed);
        (millis > 0).then(|| Timestamp::from_millis(millis))
    }

    /// Changes the mode, until larder stops. Returns the mode before.
    pub fn set(&self, mode: Mode, now: Timestamp) -> Mode {
        let before = self.mode();
        if before != mode {
            self.store(mode, now);
        }
        before
    }

    fn store(&self, mode: Mode, now: Timestamp) {
        let (since, shown) = match mode {
            Mode::Online => (0, 0),
            Mode::Offline => (now.as_millis().max(1), 1),
        };
        self.offline_since.store(since, Ordering::Relaxed);
        self.shown.set(shown);
    }
}

#[cfg(test)]
impl Switch {
    /// Makes a switch of no upstream in particular.
    pub(super) fn sample(mode: Mode) -> Self {
        Self::new(mode, Timestamp::default(), Gauge::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_since_when_it_is_offline() {
        let at = Timestamp::from_millis;
        let shown = Gauge::default();
        let switch = Switch::new(Mode::Online, at(1), shown.clone());
        assert_eq!(
            (switch.mode(), switch.offline_since()),
            (Mode::Online, None)
        );
        assert_eq!(switch.set(Mode::Offline, at(2)), Mode::Online);
        assert_eq!(switch.set(Mode::Offline, at(3)), Mode::Offline);
        assert_eq!((switch.offline_since(), shown.get()), (Some(at(2)), 1));
        assert_eq!(switch.set(Mode::Online, at(4)), Mode::Offline);
        assert_eq!((switch.mode(), shown.get()), (Mode::Online, 0));
        let offline = Switch::sample(Mode::Offline);
        assert_eq!(offline.mode(), Mode::Offline);
    }
}
