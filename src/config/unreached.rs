//! Logins that no repository ever gets to, since one that is written before them takes all of theirs.

use super::fault::Place;
use super::file::{CredentialKeys, LoginKeys, SourceKind, UpstreamKeys};
use crate::cache::Audience;
use crate::oci::RepositoryPattern;

/// A login, in the order in which logins count.
struct Rule<'a> {
    repositories: RepositoryPattern,
    place: &'a Place,
    /// Whether nothing that comes later is looked at for its repositories.
    is_final: bool,
    /// To whom private content goes, when that is written here.
    share: Option<Audience>,
}

/// Says which logins of an upstream have no effect, a sentence each.
pub(super) fn unreached(keys: &UpstreamKeys) -> Vec<String> {
    let some = keys.credential.iter().filter_map(Rule::of_some);
    let all = keys.credentials.as_ref().map(Rule::of_all);
    let rules: Vec<Rule<'_>> = some.chain(all).collect();
    let usual = keys
        .share
        .as_ref()
        .map_or_else(Audience::default, |share| share.value);
    let judge = |(index, rule): (usize, &Rule<'_>)| {
        let covers = |first: &&Rule<'_>| first.repositories.plainly_covers(&rule.repositories);
        let mut before = rules[..index].iter().filter(covers);
        let first = before.clone().next()?;
        let is_other = |share| share != first.share.unwrap_or(usual);
        let (what, first) = match before.find(|first| first.is_final) {
            Some(last) => ("this login is never used", last),
            None if rule.share.is_some_and(is_other) => ("this share has no effect", first),
            None => return None,
        };
        Some(format!(
            "{}: {what}, since '{}' at {} comes first and takes in '{}'",
            rule.place, first.repositories, first.place, rule.repositories
        ))
    };
    rules.iter().enumerate().filter_map(judge).collect()
}

impl<'a> Rule<'a> {
    fn of_some(keys: &'a CredentialKeys) -> Option<Self> {
        let repositories = keys.repositories.as_ref()?;
        let is_anonymous = keys.anonymous.as_ref().is_some_and(|written| written.value);
        Some(Self {
            repositories: repositories.value.clone(),
            place: &repositories.place,
            is_final: is_anonymous || always_answers(&keys.login),
            share: keys.share.as_ref().map(|share| share.value),
        })
    }

    fn of_all(keys: &'a LoginKeys) -> Self {
        Self {
            repositories: RepositoryPattern::all(),
            place: &keys.place,
            is_final: always_answers(keys),
            share: None,
        }
    }
}

/// Tells whether a login has something for all of its repositories. Files and helpers may know nothing, and then the next
/// login counts.
fn always_answers(keys: &LoginKeys) -> bool {
    let source = keys.sources.first();
    source.is_some_and(|source| match source.kind {
        SourceKind::Password | SourceKind::IdentityToken | SourceKind::RegistryToken => true,
        SourceKind::AuthFile | SourceKind::Helper => false,
    })
}
