//! A value that can be replaced while larder runs, as a configuration that was read again does.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// A value that everyone reads and few replace. Clones are the same value.
///
/// Who reads it has the value of that moment, whole, for as long as it is held; nobody waits for anybody.
#[derive(Debug)]
pub struct Live<T>(Arc<ArcSwap<T>>);

impl<T> Live<T> {
    /// Begins with a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(value)))
    }

    /// Returns the value of this moment.
    pub fn now(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Puts another value in its place.
    pub fn replace(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_value_keeps_it_and_who_comes_later_has_the_new_one() {
        let live = Live::new("old");
        let (held, clone) = (live.now(), live.clone());
        live.replace("new");
        assert_eq!((*held, *clone.now()), ("old", "new"));
    }
}
