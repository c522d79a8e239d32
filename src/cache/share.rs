//! To whom private content goes, as the configuration says it. What is private is found out elsewhere.

use crate::addressing::Origin;
use crate::oci::{RepositoryPattern, UpstreamPattern};

/// To whom private content goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// To clients on this machine alone.
    #[default]
    ThisMachine,
    /// To everyone who may use larder.
    Everyone,
}

/// To whom the content of some private repositories goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareRule {
    /// At which registries.
    pub upstreams: UpstreamPattern,
    /// Which repositories.
    pub repositories: RepositoryPattern,
    /// To whom.
    pub audience: Audience,
}

/// Rules, of which the first counts that fits. What none fits goes to this machine alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareRules(Vec<ShareRule>);

impl ShareRules {
    /// Takes the rules in their order: those of a name in full before those of patterns that it fits.
    pub fn new(rules: Vec<ShareRule>) -> Self {
        Self(rules)
    }

    /// Returns to whom the content of a repository goes when it is private.
    pub fn audience(&self, origin: &Origin) -> Audience {
        let fits = |rule: &&ShareRule| {
            rule.upstreams.matches(&origin.upstream)
                && rule.repositories.matches(&origin.repository)
        };
        let rule = self.0.iter().find(fits);
        rule.map_or_else(Audience::default, |rule| rule.audience)
    }

    /// Returns the rules in their order.
    pub fn as_slice(&self) -> &[ShareRule] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_counts() {
        use Audience::{Everyone, ThisMachine};
        let rule = |upstreams: &str, repositories: &str, audience| ShareRule {
            upstreams: upstreams.parse().unwrap(),
            repositories: repositories.parse().unwrap(),
            audience,
        };
        let rules = ShareRules::new(vec![
            rule("a.example", "team/secret/**", ThisMachine),
            rule("a.example", "team/**", Everyone),
            rule("a.example", "**", ThisMachine),
            rule("*.b.example", "**", Everyone),
        ]);
        for (upstream, repository, audience) in [
            ("a.example", "team/app", Everyone),
            ("a.example", "team/secret/app", ThisMachine),
            ("a.example", "other", ThisMachine),
            ("b.b.example", "team/secret/app", Everyone),
            ("b.other", "team/app", ThisMachine),
        ] {
            let origin = Origin {
                upstream: upstream.parse().unwrap(),
                repository: repository.parse().unwrap(),
            };
            assert_eq!(rules.audience(&origin), audience, "{origin:?}");
            assert_eq!(ShareRules::default().audience(&origin), ThisMachine);
        }
    }
}
