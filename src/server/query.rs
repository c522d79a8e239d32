//! What a query says of a list: how much of it is wanted, from where on, and of which kind. Pure.

use std::borrow::Cow;

use thiserror::Error;

use super::route::{self, RouteError};
use crate::oci::MediaType;

/// How much of a list is wanted, and from where on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    /// How many entries at most; `None` when the client does not say.
    pub limit: Option<usize>,
    /// The entry behind which to begin. It need not be there.
    pub last: Option<String>,
}

/// What a query says that makes no sense.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum QueryError {
    /// A number that is none.
    #[error("the query parameter {0} is not a whole number from 0 on")]
    Number(&'static str),
    /// A type that is none.
    #[error("the query parameter artifactType is not a media type")]
    ArtifactType,
    /// A `%` that is not followed by two digits, or bytes that are not UTF-8.
    #[error(transparent)]
    Encoding(RouteError),
}

impl Paging {
    /// Reads `n` and `last`.
    ///
    /// # Errors
    /// [`QueryError`] when `n` is no number, or something is not encoded as it should be.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let last = values(query, "last").next().transpose()?;
        Ok(Self {
            limit: number(query, "n")?,
            last: last.filter(|last| !last.is_empty()),
        })
    }
}

/// Reads a number: the first one, if it is there more than once. An empty one is not there.
///
/// # Errors
/// [`QueryError`] when it is none.
pub fn number(query: &str, name: &'static str) -> Result<Option<usize>, QueryError> {
    let Some(text) = values(query, name).next().transpose()? else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(QueryError::Number(name));
    }
    // One that is too large for us is larger than any list.
    Ok(Some(text.parse().unwrap_or(usize::MAX)))
}

/// Reads the types of artifacts that are wanted: none when all are.
///
/// # Errors
/// [`QueryError`] when one is no type.
pub fn artifact_types(query: &str) -> Result<Vec<MediaType>, QueryError> {
    let wanted = values(query, "artifactType");
    let wanted = wanted.filter(|text| text.as_ref() != Ok(&String::new()));
    wanted
        .map(|text| MediaType::parse(&text?).ok_or(QueryError::ArtifactType))
        .collect()
}

/// Returns the values of a parameter, decoded. A `+` stays one: media types have it, and clients do not always encode it.
fn values<'a>(
    query: &'a str,
    name: &'static str,
) -> impl Iterator<Item = Result<String, QueryError>> + 'a {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(move |(key, _)| *key == name)
        .map(move |(_, value)| {
            let what = match name {
                "n" => "query parameter n",
                "last" => "query parameter last",
                _ => "query",
            };
            let decoded = route::decode(value, what).map_err(QueryError::Encoding);
            decoded.map(Cow::into_owned)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_is_wanted() {
        for (query, limit, last) in [
            ("", None, None),
            ("n=", None, None),
            ("n", None, None),
            ("n=0", Some(0), None),
            ("n=10&last=a", Some(10), Some("a")),
            ("last=a%2Fb%2b&ns=x", None, Some("a/b+")),
            ("last=", None, None),
            ("n=5&n=6", Some(5), None),
            ("xn=5", None, None),
            ("n=18446744073709551616", Some(usize::MAX), None),
        ] {
            let found = Paging::parse(query).unwrap();
            let last = last.map(str::to_owned);
            assert_eq!(found, Paging { limit, last }, "{query}");
        }
        for query in ["n=-1", "n=1e9", "n=%2B5", "n=x", "n=1.0", "n= 1"] {
            let found = Paging::parse(query);
            assert_eq!(found, Err(QueryError::Number("n")), "{query}");
        }
        for query in ["n=%", "last=%f", "last=%ff"] {
            let found = Paging::parse(query);
            assert!(matches!(found, Err(QueryError::Encoding(_))), "{query}");
        }
    }

    #[test]
    fn which_kinds_are_wanted() {
        for (query, wanted) in [
            ("", vec![]),
            ("artifactType=", vec![]),
            (
                "artifactType=application/x%2Bjson&n=1",
                vec!["application/x+json"],
            ),
            (
                "artifactType=a%2Fb&artifactType=c/d+json",
                vec!["a/b", "c/d+json"],
            ),
        ] {
            let found = artifact_types(query).unwrap();
            let found: Vec<&str> = found.iter().map(MediaType::as_str).collect();
            assert_eq!(found, wanted, "{query}");
        }
        assert_eq!(
            artifact_types("artifactType=x"),
            Err(QueryError::ArtifactType)
        );
    }
}
