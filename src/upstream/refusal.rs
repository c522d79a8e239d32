//! The words with which a registry refuses: JSON of several makes, or anything at all.

use std::sync::Arc;

use serde::Deserialize;

use super::answer::Answer;

/// The most that is read of a refusal.
const LIMIT: usize = 64 << 10;
/// The most characters that are passed on.
const MAX_CHARACTERS: usize = 300;

/// What the body of a refusal tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Words that people can read, if there are any.
    pub(super) message: Option<Arc<str>>,
    /// Whether it names a code as registries do: `errors[].code`.
    pub(super) has_code: bool,
}

/// Reads the body of an answer that refuses. What cannot be read tells nothing.
pub(super) async fn read(answer: &mut Answer) -> Refusal {
    let body = answer.collect(LIMIT).await;
    body.map(|body| parse(&body)).unwrap_or_default()
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<Entry>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    details: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// Reads `{"errors":[{"code","message"}]}`, `{"message"}` (GitHub) or `{"details"}` (Docker Hub's token service).
fn parse(body: &[u8]) -> Refusal {
    let Ok(document) = serde_json::from_slice::<Document>(body) else {
        return Refusal::default();
    };
    let has_code = document.errors.iter().any(|entry| entry.code.is_some());
    let of_entry = |entry: Entry| entry.message.filter(|text| !text.is_empty()).or(entry.code);
    let words = document
        .errors
        .into_iter()
        .find_map(of_entry)
        .or(document.message)
        .or(document.details)
        .unwrap_or_default();
    let words: String = words
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CHARACTERS)
        .collect();
    let words = words.trim();
    Refusal {
        message: (!words.is_empty()).then(|| words.into()),
        has_code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_registries() {
        for (body, words) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
                Some("requested access to the resource is denied"),
            ),
            (
                r#"{"errors":[{"code":"DENIED","message":""}]}"#,
                Some("DENIED"),
            ),
            (r#"{"errors":[],"message":"no"}"#, Some("no")),
            (
                r#"{"details":"incorrect username or password"}"#,
                Some("incorrect username or password"),
            ),
            ("{\"message\":\"a\\u001b[31mb\\nc\"}", Some("a[31mbc")),
            (r#"{"errors":[{"detail":{}}]}"#, None),
            (r#"{"message":"  "}"#, None),
            ("<html>denied</html>", None),
            ("", None),
        ] {
            let refusal = parse(body.as_bytes());
            assert_eq!(refusal.message.as_deref(), words, "{body}");
            assert_eq!(refusal.has_code, body.contains("code"), "{body}");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "é".repeat(1000));
        assert_eq!(
            parse(long.as_bytes()).message.unwrap().chars().count(),
            MAX_CHARACTERS
        );
    }
}
