//! A file with one secret in it.

use std::str;

use super::secret::Secret;

/// The most that is read of it. Tokens are a few kilobytes.
pub(super) const MAX_SECRET_FILE: usize = 64 << 10;

/// Reads the first line, without what editors and programs leave at its end.
///
/// # Errors
/// Says what is wrong, without the content.
pub(super) fn parse(bytes: &[u8]) -> Result<Secret, String> {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let text = str::from_utf8(line).map_err(|_| "is no text in UTF-8")?;
    let text = text.trim_end_matches(['\0', '\r']);
    if text.is_empty() {
        return Err("has nothing in its first line".into());
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_secret() {
        for (bytes, secret) in [
            (&b"hunter2"[..], Some("hunter2")),
            (b"hunter2\n", Some("hunter2")),
            (b"hunter2\r\n\r\n", Some("hunter2")),
            (b"hunter2\0\0", Some("hunter2")),
            (b"hunter2\0\n", Some("hunter2")),
            (b" a b:c \nsecond", Some(" a b:c ")),
            ("pässword\n".as_bytes(), Some("pässword")),
            (b"", None),
            (b"\n", None),
            (b"\0", None),
            (b"\nsecond", None),
            (b"\xff\n", None),
        ] {
            let parsed = parse(bytes).ok();
            let parsed = parsed.as_ref().map(Secret::expose);
            assert_eq!(parsed, secret, "{bytes:?}");
        }
    }
}
