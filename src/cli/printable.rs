//! Text of strangers for a terminal: characters that would move the cursor, change what was printed before or turn the
//! direction of writing are shown as what they are, and do nothing.

use serde::Serialize;

/// The most characters of a text that a table shows. JSON has all of it.
const MAX_SHOWN: usize = 300;

/// Returns a text in one line, with all that cannot be seen written as an escape.
pub(super) fn line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // These are escaped in Rust's literals only.
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Returns the beginning of a text as [`line()`] does.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => line(text),
        Some((end, _)) => format!("{}…", line(&text[..end])),
    }
}

/// Writes a value as JSON for people and machines. What cannot be seen is escaped as JSON does it, so that the value
/// stays the same.
pub(super) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("our own documents are JSON");
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // Within strings, line ends are escaped already.
        let is_visible =
            c == '\n' || c.is_ascii_graphic() || c == ' ' || c.escape_debug().len() == 1;
        if is_visible {
            shown.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOSTILE: &str = "\u{1b}[2J\r\n\u{9b}31m\u{202e}x\u{200b}\u{7f}\t\u{e0041}";

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        for (text, shown) in [
            ("plain 'text' \"é\" C:\\x", "plain 'text' \"é\" C:\\x"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\r\nb\tc\0", "a\\r\\nb\\tc\\0"),
            ("\u{202e}gnp", "\\u{202e}gnp"),
            ("漢字 🚀", "漢字 🚀"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert_eq!(short(&"é".repeat(MAX_SHOWN)), "é".repeat(MAX_SHOWN));
        let long = short(&"é".repeat(MAX_SHOWN + 1));
        assert_eq!(long, format!("{}…", "é".repeat(MAX_SHOWN)));
    }

    #[test]
    fn json_keeps_its_value_and_hides_nothing() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, "é\"\\"] });
        let shown = json(&value);
        assert!(shown.contains("é\\\"\\\\"), "{shown}");
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
        let is_safe = |c: char| c == '\n' || c == 'é' || c == ' ' || c.is_ascii_graphic();
        assert!(shown.chars().all(is_safe), "{shown:?}");
    }

    proptest! {
        #[test]
        fn no_text_controls_the_terminal(text: String) {
            prop_assert!(!line(&text).chars().any(char::is_control));
            let shown = json(&text);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }
}
