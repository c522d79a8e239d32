//! The words with which a registry refuses: JSON of several makes, or anything at all.

use std::sync::Arc;

use serde::Deserialize;

use super::wire::Answer;

/// The most that is read of a refusal.
const LIMIT: usize = 64 << 10;
/// The most characters that are passed on.
const MAX_CHARACTERS: usize = 300;

/// Reads the message of an answer that refuses. `None` when there is none that people could read.
pub(super) async fn message(answer: Answer) -> Option<Arc<str>> {
    let body = answer.into_body().collect("an error", LIMIT).await.ok()?;
    parse(&body)
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
fn parse(body: &[u8]) -> Option<Arc<str>> {
    let document: Document = serde_json::from_slice(body).ok()?;
    let of_entry = |entry: Entry| entry.message.filter(|text| !text.is_empty()).or(entry.code);
    let words = document
        .errors
        .into_iter()
        .find_map(of_entry)
        .or(document.message)
        .or(document.details)?;
    let words: String = words
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CHARACTERS)
        .collect();
    let words = words.trim();
    (!words.is_empty()).then(|| words.into())
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
            assert_eq!(parse(body.as_bytes()).as_deref(), words, "{body}");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "é".repeat(1000));
        assert_eq!(
            parse(long.as_bytes()).unwrap().chars().count(),
            MAX_CHARACTERS
        );
    }
}
