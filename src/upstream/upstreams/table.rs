//! The upstreams of one configuration. When there is another one, a new table takes over what stays the same.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::SetupError;
use super::maker::{Maker, Plan};
use crate::oci::{UpstreamName, UpstreamPattern};
use crate::upstream::registry::Upstream;
use crate::upstream::settings::Settings;
use crate::upstream::standing::{Standing, UpstreamStanding};
use crate::upstream::switch::{Mode, Switch};

/// The upstreams of one configuration.
#[derive(Debug)]
pub(super) struct Table {
    named: HashMap<UpstreamName, Arc<Named>>,
    patterns: Vec<(UpstreamPattern, Arc<Plan>)>,
    /// The names and patterns as they are configured, in that order, each with its configured mode.
    order: Vec<(UpstreamPattern, Mode)>,
    /// Upstreams that fit a pattern and were asked for.
    fitting: Cache<UpstreamName, Fitting>,
}

/// An upstream that is configured in full. It is made when it is first asked for: of the built-in ones most never are, and
/// each has memories of its own.
#[derive(Debug)]
struct Named {
    plan: Arc<Plan>,
    made: OnceLock<Arc<Upstream>>,
}

/// An upstream that fits a pattern.
#[derive(Clone, Debug)]
struct Fitting {
    plan: Arc<Plan>,
    upstream: Arc<Upstream>,
}

impl Table {
    /// How many upstreams of patterns have connections and tokens at once. Names come from clients, so there is no end
    /// to them.
    const MAX_FITTING: u64 = 256;

    /// Makes the first table.
    ///
    /// # Errors
    /// [`SetupError`] when a file cannot be used.
    pub(super) fn new(settings: Vec<Settings>, maker: &Maker) -> Result<Self, SetupError> {
        Self::empty().succeeded_by(settings, maker)
    }

    fn empty() -> Self {
        Self {
            named: HashMap::new(),
            patterns: Vec::new(),
            order: Vec::new(),
            fitting: Cache::builder()
                .max_capacity(Self::MAX_FITTING)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        }
    }

    /// Makes the table of other settings. Switches are turned where the mode in the settings is another than before, once
    /// nothing can fail any more.
    ///
    /// # Errors
    /// [`SetupError`] when a file cannot be used; nothing is changed then.
    pub(super) fn succeeded_by(
        &self,
        settings: Vec<Settings>,
        maker: &Maker,
    ) -> Result<Self, SetupError> {
        let patterns: Vec<_> = settings.iter().map(|it| it.pattern.clone()).collect();
        let new = self.planned(settings, maker).inspect_err(|_| {
            // Nothing came of those that would have been new.
            for pattern in patterns.iter().filter(|it| self.plan(it).is_none()) {
                maker.parts.metrics.forget(&pattern.to_string());
            }
        })?;
        self.turn_switches(&new, maker);
        self.take_down(&new, maker);
        Ok(new)
    }

    /// Makes the table of other settings, with all that stays the same.
    fn planned(&self, settings: Vec<Settings>, maker: &Maker) -> Result<Self, SetupError> {
        let mut new = Self::empty();
        for entry in settings {
            let (pattern, mode) = (entry.pattern.clone(), entry.mode);
            if !new.order.iter().any(|(known, _)| *known == pattern) {
                new.order.push((pattern.clone(), mode));
            }
            let plan = self.plan_for(entry, maker)?;
            match pattern {
                UpstreamPattern::Exactly(name) => {
                    let named = self.named.get(&name).cloned();
                    let kept = named.filter(|named| Arc::ptr_eq(&named.plan, &plan));
                    let made = OnceLock::new();
                    let named = kept.unwrap_or_else(|| Arc::new(Named { plan, made }));
                    new.named.insert(name, named);
                }
                UpstreamPattern::Labels(_) => new.patterns.push((pattern, plan)),
            }
        }
        for (name, fitting) in &self.fitting {
            let plan = new.fitting_plan(&name);
            let is_named = new.named.contains_key(&*name);
            if !is_named && plan.is_some_and(|plan| Arc::ptr_eq(plan, &fitting.plan)) {
                new.fitting.insert((*name).clone(), fitting);
            }
        }
        Ok(new)
    }

    /// Returns the plan of an entry: the one that there is, when it would be the same.
    fn plan_for(&self, entry: Settings, maker: &Maker) -> Result<Arc<Plan>, SetupError> {
        let known = self.plan(&entry.pattern);
        if let Some(same) = known.filter(|plan| plan.is_of(&entry)) {
            return Ok(same.clone());
        }
        let switch = known.map_or_else(|| maker.switch(&entry), |plan| plan.switch.clone());
        maker.plan(entry, switch).map(Arc::new)
    }

    /// Gives the word to the configuration where it says something else than before; elsewhere the operator's stays.
    fn turn_switches(&self, new: &Self, maker: &Maker) {
        for (pattern, mode) in &new.order {
            let before = self.order.iter().find(|(known, _)| known == pattern);
            if before.is_some_and(|(_, before)| before != mode)
                && let Some(plan) = new.plan(pattern)
            {
                plan.switch.set(*mode, maker.parts.clock.now());
            }
        }
    }

    /// Takes what is told of those that are there no more, or have other logins, out of the metrics.
    fn take_down(&self, new: &Self, maker: &Maker) {
        for (pattern, _) in &self.order {
            let (old, new) = (self.plan(pattern), new.plan(pattern));
            let is_same = |old: &&Arc<Plan>| new.is_some_and(|new| Arc::ptr_eq(old, new));
            if let Some(old) = old.filter(|old| !is_same(old)) {
                old.metrics.retire();
            }
            if new.is_none() {
                maker.parts.metrics.forget(&pattern.to_string());
            }
        }
    }

    /// Returns the upstream with this name, `None` when it is not configured.
    pub(super) fn get(&self, name: &UpstreamName, maker: &Maker) -> Option<Arc<Upstream>> {
        if let Some(named) = self.named.get(name) {
            let make = || maker.upstream(name, &named.plan);
            return Some(named.made.get_or_init(make).clone());
        }
        let plan = self.fitting_plan(name)?;
        let make = || Fitting {
            plan: plan.clone(),
            upstream: maker.upstream(name, plan),
        };
        Some(self.fitting.get_with_by_ref(name, make).upstream)
    }

    /// Returns the plan of the first pattern that a name fits.
    fn fitting_plan(&self, name: &UpstreamName) -> Option<&Arc<Plan>> {
        let mut patterns = self.patterns.iter();
        let found = patterns.find(|(pattern, _)| pattern.matches(name));
        found.map(|(_, plan)| plan)
    }

    /// Returns the switch of an entry.
    pub(super) fn switch(&self, pattern: &UpstreamPattern) -> Option<Arc<Switch>> {
        self.plan(pattern).map(|plan| plan.switch.clone())
    }

    /// Returns what is known of each entry, in their order.
    pub(super) fn standings(&self) -> Vec<Standing> {
        let standings = self.order.iter().filter_map(|(pattern, _)| {
            let offline_since = self.plan(pattern)?.switch.offline_since();
            Some(Standing {
                pattern: pattern.clone(),
                mode: match offline_since {
                    Some(_) => Mode::Offline,
                    None => Mode::Online,
                },
                offline_since,
                upstreams: self.upstreams_of(pattern),
            })
        });
        standings.collect()
    }

    /// Returns what is known of the upstreams of one entry.
    fn upstreams_of(&self, pattern: &UpstreamPattern) -> Vec<UpstreamStanding> {
        match pattern {
            UpstreamPattern::Exactly(name) => {
                let named = self.named.get(name).into_iter();
                let standing = |named: &Arc<Named>| match named.made.get() {
                    Some(upstream) => upstream.standing(),
                    None => named.plan.unasked(name),
                };
                named.map(standing).collect()
            }
            UpstreamPattern::Labels(_) => {
                let is_its = |name: &UpstreamName| {
                    let first = self.patterns.iter().find(|(known, _)| known.matches(name));
                    first.is_some_and(|(first, _)| first == pattern)
                };
                let made = self.fitting.iter().filter(|(name, _)| is_its(name));
                let mut standings: Vec<_> = made
                    .map(|(_, fitting)| fitting.upstream.standing())
                    .collect();
                standings.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
                standings
            }
        }
    }

    pub(super) fn plan(&self, pattern: &UpstreamPattern) -> Option<&Arc<Plan>> {
        match pattern {
            UpstreamPattern::Exactly(name) => self.named.get(name).map(|named| &named.plan),
            UpstreamPattern::Labels(_) => {
                let mut patterns = self.patterns.iter();
                let found = patterns.find(|(known, _)| known == pattern);
                found.map(|(_, plan)| plan)
            }
        }
    }
}
