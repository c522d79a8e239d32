//! An error with its causes, as one text: what the `error` field of an event says.

use std::error::Error;

/// Writes an error and what caused it in one line. A cause that its effect has quoted already is not repeated.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("{text}")]
    struct Told {
        text: &'static str,
        source: Option<Box<Told>>,
    }

    fn chain(texts: &[&'static str]) -> Option<Box<Told>> {
        let (text, causes) = texts.split_first()?;
        let source = chain(causes);
        Some(Box::new(Told { text, source }))
    }

    #[test]
    fn an_error_is_told_with_each_cause_once() {
        for (texts, told) in [
            (&["no luck"][..], "no luck"),
            (&["no pull", "no reply", "cut"], "no pull: no reply: cut"),
            (
                &["no pull: no reply", "no reply", "cut"],
                "no pull: no reply: cut",
            ),
        ] {
            let error = chain(texts).unwrap();
            assert_eq!(with_causes(&*error), told);
        }
    }
}
