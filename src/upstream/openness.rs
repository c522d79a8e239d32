//! Whether anybody may read a repository: asked for without a login, and without spending quota where that is possible.

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};

use super::answer::Answer;
use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::listing;
use super::request::{AsWhom, Ask};
use crate::oci::{Digest, Reference, RepositoryName, VariantClass};

/// Something of a repository that anybody may read, if anybody may read the repository.
#[derive(Clone, Copy, Debug)]
pub enum Sample<'a> {
    /// A manifest.
    Manifest(&'a Reference),
    /// A blob.
    Blob(&'a Digest),
    /// What any of its tags points at. To find one, its tags are asked for.
    Tags,
}

/// What a registry says to somebody without a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Openness {
    /// It answers: anybody may read the repository.
    Open,
    /// It refuses.
    Closed,
    /// It says that there is no such thing, which says nothing of the repository.
    Unsaid,
}

/// Asks an endpoint for something without a login. Says whether it answers; `None` when it says nothing of use.
pub(super) async fn ask(
    endpoint: &Endpoint,
    repository: &RepositoryName,
    sample: Sample<'_>,
) -> Result<Option<()>, UpstreamError> {
    // A connection is made with the certificate or not at all, so that nobody finds out what comes without it.
    if endpoint.shows_certificate() {
        return Ok(None);
    }
    match sample {
        Sample::Manifest(reference) => {
            let question =
                |method| Ask::manifest(method, repository, reference, VariantClass::Index);
            see(endpoint, question).await
        }
        Sample::Blob(digest) => see(endpoint, |method| Ask::blob(method, repository, digest)).await,
        // A list says little of what can be pulled: some registries show none to anybody, some an empty one to everybody.
        Sample::Tags => match listing::any_tag(endpoint, repository).await {
            Ok(Some(tag)) => {
                let tag = Reference::Tag(tag);
                let question =
                    |method| Ask::manifest(method, repository, &tag, VariantClass::Index);
                see(endpoint, question).await
            }
            Ok(None) | Err(UpstreamError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        },
    }
}

/// Asks by HEAD, and where that is not done, by a GET of which little is read.
async fn see(
    endpoint: &Endpoint,
    question: impl Fn(Method) -> Ask,
) -> Result<Option<()>, UpstreamError> {
    let by_head = question(Method::HEAD).by(AsWhom::Anonymous);
    let answer = endpoint.request(&by_head).await?;
    if !matches!(
        answer.status(),
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
    ) {
        return Ok(is_there(&answer).then_some(()));
    }
    // The body of the answer is not read: its connection ends here.
    let by_get = question(Method::GET)
        .by(AsWhom::Anonymous)
        .with_range(0, Some(1));
    let answer = endpoint.request(&by_get).await?;
    Ok(is_there(&answer).then_some(()))
}

/// Tells whether an answer is for what was asked. Where people log in, everybody gets a page.
fn is_there(answer: &Answer) -> bool {
    let is_page = answer
        .header(&CONTENT_TYPE)
        .is_some_and(|text| text.trim().to_ascii_lowercase().starts_with("text/html"));
    answer.status().is_success() && !is_page
}

/// Reads what came of asking.
pub(super) fn of(asked: Result<Option<()>, UpstreamError>) -> Result<Openness, UpstreamError> {
    match asked {
        Ok(Some(())) => Ok(Openness::Open),
        Ok(None) => Ok(Openness::Unsaid),
        Err(UpstreamError::Refused {
            status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
            ..
        }) => Ok(Openness::Closed),
        Err(UpstreamError::Refused { .. }) => Ok(Openness::Unsaid),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_rights_closes_a_repository() {
        let refused = |status| {
            Err(UpstreamError::Refused {
                host: "r.io".into(),
                status,
                message: None,
                login: None,
            })
        };
        for (asked, openness) in [
            (Ok(Some(())), Openness::Open),
            (Ok(None), Openness::Unsaid),
            (refused(StatusCode::UNAUTHORIZED), Openness::Closed),
            (refused(StatusCode::FORBIDDEN), Openness::Closed),
            (refused(StatusCode::BAD_REQUEST), Openness::Unsaid),
        ] {
            assert_eq!(of(asked).unwrap(), openness);
        }
        let late = UpstreamError::protocol(&"r.io".into(), "is confused");
        assert!(of(Err(late)).is_err());
    }
}
