//! What a token allows (distribution, token scope documentation): `repository:library/alpine:pull,push`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::name::RepositoryName;

/// Some actions on one resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    kind: String,
    name: String,
    actions: Vec<String>,
}

/// Text that is no scope.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a scope has the form type:name:actions")]
pub struct ScopeError;

impl Scope {
    /// Returns the scope of reading a repository.
    pub fn pull(repository: &RepositoryName) -> Self {
        Self {
            kind: "repository".into(),
            name: repository.as_str().into(),
            actions: vec!["pull".into()],
        }
    }

    /// Returns whether it allows an action on a repository, or all of them.
    pub fn covers(&self, repository: &RepositoryName, action: &str) -> bool {
        // A class in parentheses may follow: `repository(plugin)`.
        let kind = self.kind.split('(').next().unwrap_or_default();
        kind == "repository"
            && self.name == repository.as_str()
            && self.actions.iter().any(|own| own == action || own == "*")
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// The name may have colons itself, as in `repository:host:5000/name:pull`: what is before the first one is the type,
    /// and what is behind the last one are the actions.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (kind, rest) = text.split_once(':').ok_or(ScopeError)?;
        let (name, actions) = rest.rsplit_once(':').ok_or(ScopeError)?;
        if kind.is_empty() || name.is_empty() {
            return Err(ScopeError);
        }
        Ok(Self {
            kind: kind.into(),
            name: name.into(),
            actions: actions.split(',').map(String::from).collect(),
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scopes_allow() {
        let alpine: RepositoryName = "library/alpine".parse().unwrap();
        for (text, covers) in [
            ("repository:library/alpine:pull", true),
            ("repository:library/alpine:push,pull", true),
            ("repository:library/alpine:*", true),
            ("repository(plugin):library/alpine:pull", true),
            ("repository:library/alpine:push", false),
            ("repository:library/alpine:pull-all", false),
            ("repository:library/alpine:", false),
            ("repository:library:pull", false),
            ("repository:host:5000/library/alpine:pull", false),
            ("repositoryx:library/alpine:pull", false),
            ("registry:catalog:*", false),
        ] {
            let scope: Scope = text.parse().unwrap();
            assert_eq!(scope.covers(&alpine, "pull"), covers, "{text}");
            assert_eq!(scope.to_string(), text);
        }
        let own = Scope::pull(&alpine);
        assert_eq!(own.to_string(), "repository:library/alpine:pull");
        assert!(own.covers(&alpine, "pull") && !own.covers(&alpine, "push"));
    }

    #[test]
    fn a_name_may_have_colons() {
        let scope: Scope = "repository:host:5000/name:pull,push".parse().unwrap();
        assert_eq!(scope.name, "host:5000/name");
        assert_eq!(scope.actions, ["pull", "push"]);
        assert_eq!(scope.kind, "repository");
    }

    #[test]
    fn what_is_no_scope() {
        for text in [
            "",
            "aws",
            "repository:pull",
            ":a:pull",
            "repository::pull",
            ":",
        ] {
            assert_eq!(text.parse::<Scope>(), Err(ScopeError), "{text}");
        }
    }
}
