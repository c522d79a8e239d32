//! Reads Rust source just far enough to see which paths it names: not a parser, but comments, strings, groups and
//! inline modules do not deceive it.

/// Returns the rooms (modules at the root of the crate) that a source file names, with their lines.
///
/// `depth` tells how many modules deep the file is: 0 for `lib.rs`, 1 for `store/mod.rs`, 2 for `store/error.rs`. A
/// glob of the root is given as `*`.
pub(crate) fn rooms_named(text: &str, depth: usize) -> Vec<(String, usize)> {
    let code = without_comments_and_strings(text);
    let tokens = tokens(&code);
    let mut walk = Walk {
        tokens: &tokens,
        found: Vec::new(),
    };
    let mut braces = 0;
    let mut inline_modules: Vec<usize> = Vec::new();
    for at in 0..tokens.len() {
        match walk.word(at) {
            "{" => {
                if at >= 2 && walk.word(at - 2) == "mod" {
                    inline_modules.push(braces);
                }
                braces += 1;
            }
            "}" => {
                braces = braces.saturating_sub(1);
                if inline_modules.last() == Some(&braces) {
                    inline_modules.pop();
                }
            }
            "crate" | "larder" | "super" | "self"
                if walk.word(at + 1) == "::" && (at == 0 || walk.word(at - 1) != "::") =>
            {
                walk.path(at, depth + inline_modules.len());
            }
            _ => {}
        }
    }
    walk.found
}

/// Returns what is left of a file when it is cut where its inline tests begin.
pub(crate) fn without_inline_tests(text: &str) -> &str {
    let mut offset = 0;
    let mut test_attribute = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare == "#[cfg(test)]" {
            test_attribute = Some(offset);
        } else if !bare.starts_with("#[") {
            let declaration = bare.strip_prefix("pub ").unwrap_or(bare);
            let is_module = declaration.starts_with("mod ") && declaration.ends_with('{');
            match test_attribute.take() {
                Some(start) if is_module => return &text[..start],
                Some(_) | None => {}
            }
        }
        offset += line.len();
    }
    text
}

/// Puts spaces in place of comments, strings and characters; lines stay where they are.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest, code.chars().next_back());
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (gone, remains) = rest.split_at(length);
            code.extend(gone.chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = remains;
        }
    }
    code
}

/// Returns how many bytes of a comment or literal stand at the start of `rest`; 0 when it is code.
fn skipped(rest: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment(rest)
    } else if let Some(hashes) = raw_string_hashes(rest).filter(|_| !in_word) {
        let open = rest.find('"').map_or(rest.len(), |at| at + 1);
        let close = format!("\"{}", "#".repeat(hashes));
        rest[open..]
            .find(&close)
            .map_or(rest.len(), |at| open + at + close.len())
    } else if rest.starts_with('"') {
        quoted(rest, '"')
    } else if rest.starts_with('\'') && is_character(rest) {
        quoted(rest, '\'')
    } else {
        0
    }
}

/// Returns the length of the block comment, nested ones included, that `rest` begins with.
fn block_comment(rest: &str) -> usize {
    let mut level = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            level += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            level -= 1;
            at += 2;
            if level == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Returns the number of `#` when `rest` begins with a raw string.
fn raw_string_hashes(rest: &str) -> Option<usize> {
    let raw = ["r", "br", "cr"]
        .iter()
        .find_map(|prefix| rest.strip_prefix(prefix))?;
    let string = raw.trim_start_matches('#');
    string.starts_with('"').then(|| raw.len() - string.len())
}

/// Returns the length of the literal that `rest` begins with, up to its closing quote.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// Tells a character literal from a lifetime.
fn is_character(rest: &str) -> bool {
    let mut inner = rest.chars().skip(1);
    let first = inner.next();
    first == Some('\\') || inner.next() == Some('\'')
}

/// Splits code into words, `::` and single signs, each with its line, counted from 1.
fn tokens(code: &str) -> Vec<(&str, usize)> {
    let mut tokens = Vec::new();
    for (number, mut rest) in code.lines().enumerate() {
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, remains) = rest.split_at(length);
            if !first.is_whitespace() {
                tokens.push((token, number + 1));
            }
            rest = remains;
        }
    }
    tokens
}

/// A walk along the paths of a file.
struct Walk<'a> {
    tokens: &'a [(&'a str, usize)],
    found: Vec<(String, usize)>,
}

impl Walk<'_> {
    /// Returns a token; beyond the end, an empty one.
    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |(token, _)| *token)
    }

    /// Follows the path at a token, in a module of this depth, and notes each name it finds at the root. Returns the
    /// token after the part that it followed.
    fn path(&mut self, at: usize, depth: usize) -> usize {
        let depth = match self.word(at) {
            "crate" | "larder" => 0,
            "super" => depth.saturating_sub(1),
            "self" => depth,
            "{" => return self.group(at, depth),
            _ if depth > 0 => return at + 1,
            name => {
                let line = self.tokens.get(at).map_or(0, |(_, line)| *line);
                let name = name.to_owned();
                self.found.push((name, line));
                return at + 1;
            }
        };
        if self.word(at + 1) == "::" {
            self.path(at + 2, depth)
        } else {
            at + 1
        }
    }

    /// Follows each path of the group that opens at a token.
    fn group(&mut self, open: usize, depth: usize) -> usize {
        let mut at = open + 1;
        let mut level = 1;
        let mut at_start_of_path = true;
        while level > 0 && at < self.tokens.len() {
            match self.word(at) {
                "{" => level += 1,
                "}" => level -= 1,
                "," if level == 1 => {
                    at_start_of_path = true;
                    at += 1;
                    continue;
                }
                _ if at_start_of_path => {
                    at_start_of_path = false;
                    at = self.path(at, depth);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        at
    }
}
