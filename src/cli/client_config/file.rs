//! One file for a client: where it belongs, what people have to know of it, and what is in it.

/// What any file of a client may be read by: nothing in them is secret, and some clients do not run as root.
pub(super) const FILE_MODE: u32 = 0o644;

/// The longest line of prose in a comment, the sign of the comment included.
const MAX_LINE: usize = 100;

/// A file that a client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientFile {
    /// Where it belongs at the client: an absolute path, one in the home folder (`~/`), or one beside the others.
    pub(super) path: String,
    /// Whether it can have comments.
    pub(super) syntax: Syntax,
    /// What people have to know.
    pub(super) notes: Vec<Note>,
    /// What the client reads.
    pub(super) body: String,
}

/// Whether a kind of file has comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// It has, behind `#`, as TOML and YAML.
    Commented,
    /// It has none, as JSON, or is taken over as it was given, as certificates.
    Bare,
}

/// A part of what people have to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// Sentences.
    Prose(String),
    /// Lines to be typed or copied as they are.
    Code(&'static str),
}

impl Note {
    /// Makes a note of sentences.
    pub(super) fn prose(text: impl Into<String>) -> Self {
        Self::Prose(text.into())
    }
}

impl ClientFile {
    /// Returns the whole file.
    pub(super) fn content(&self) -> String {
        match self.syntax {
            Syntax::Commented => format!("{}\n{}", self.comments(), self.body),
            Syntax::Bare => self.body.clone(),
        }
    }

    /// Returns what the file itself cannot say.
    pub(super) fn aside(&self) -> Option<String> {
        match self.syntax {
            Syntax::Commented => None,
            Syntax::Bare => Some(self.comments()),
        }
    }

    /// Returns path and notes as comments.
    fn comments(&self) -> String {
        let mut comments = format!("# {}\n", self.path);
        for note in &self.notes {
            comments.push_str("#\n");
            match note {
                Note::Prose(text) => {
                    for line in lines(text) {
                        comments.push_str(&format!("# {line}\n"));
                    }
                }
                Note::Code(text) => {
                    for line in text.lines() {
                        comments.push_str(&format!("#     {line}\n"));
                    }
                }
            }
        }
        comments
    }
}

/// Breaks sentences into lines.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if "# ".len() + line.len() + 1 + word.len() <= MAX_LINE => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_comments_says_it_aside() {
        let notes = vec![
            Note::prose("word ".repeat(30).trim_end()),
            Note::Code("a = 1\nb"),
        ];
        let mut file = ClientFile {
            path: "/etc/x".to_owned(),
            syntax: Syntax::Commented,
            notes,
            body: "{}\n".to_owned(),
        };
        let (first, second) = ("word ".repeat(19), "word ".repeat(11));
        let comments = format!(
            "# /etc/x\n#\n# {}\n# {}\n#\n#     a = 1\n#     b\n",
            first.trim_end(),
            second.trim_end()
        );
        assert_eq!(file.content(), format!("{comments}\n{{}}\n"));
        assert_eq!(file.aside(), None);
        file.syntax = Syntax::Bare;
        assert_eq!(file.content(), "{}\n");
        assert_eq!(file.aside(), Some(comments));
    }
}
