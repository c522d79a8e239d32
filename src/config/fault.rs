//! What is wrong with a configuration, and where: all of it, in the order of the file.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

/// Everything that is wrong with a configuration; never empty when it is returned as an error.
#[derive(Clone, Debug, Default, Error, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub(super) fn push(&mut self, place: Place, message: impl Into<String>) {
        self.push_about(place, Vec::new(), message);
    }

    /// Adds a fault that may be in these files, rather than in what is written of them.
    pub(super) fn push_about(
        &mut self,
        place: Place,
        files: Vec<PathBuf>,
        message: impl Into<String>,
    ) {
        self.0.push(Fault {
            place,
            files,
            message: message.into(),
        });
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Adds the faults of another list.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Drops all but the first fault of each line of the file.
    pub(super) fn keep_first_of_each_line(&mut self) {
        let mut seen = BTreeSet::new();
        self.0.retain(|fault| match &fault.place {
            Place::Text(spot) => seen.insert(spot.line),
            Place::File(_)
            | Place::Variable(_)
            | Place::Flag(_)
            | Place::Socket(_)
            | Place::Default(_) => true,
        });
    }

    /// Returns the value when nothing is wrong, else all faults in the order in which they were written.
    pub(super) fn unless_any<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self.in_order())
        }
    }

    /// Puts the faults in the order in which they were written.
    pub(super) fn in_order(mut self) -> Self {
        self.0.sort_by_key(|fault| fault.place.rank());
        self
    }

    /// Returns the faults.
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it was written.
    pub place: Place,
    /// The files that it is about: when one of them changes, it may be gone.
    pub files: Vec<PathBuf>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    /// Writes `place: message`, and under it the line of the file with a caret, where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.place {
            Place::Text(spot) => spot.write_excerpt(f),
            Place::File(_)
            | Place::Variable(_)
            | Place::Flag(_)
            | Place::Socket(_)
            | Place::Default(_) => Ok(()),
        }
    }
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A spot in the configuration file.
    Text(Spot),
    /// The configuration file as a whole.
    File(PathBuf),
    /// An environment variable, by its name.
    Variable(String),
    /// A flag of the command line, by its name.
    Flag(&'static str),
    /// A socket that whoever started the process opened for it, by its name.
    Socket(&'static str),
    /// Nowhere: the key, which was not written.
    Default(&'static str),
}

impl Place {
    /// Orders faults: the file from its start to its end, then the environment, flags, sockets, and what was not written.
    fn rank(&self) -> (u8, usize, usize) {
        match self {
            Self::File(_) => (0, 0, 0),
            Self::Text(spot) => (1, spot.line, spot.column),
            Self::Variable(_) => (2, 0, 0),
            Self::Flag(_) => (3, 0, 0),
            Self::Socket(_) => (4, 0, 0),
            Self::Default(_) => (5, 0, 0),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(spot) => spot.fmt(f),
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
            Self::Socket(name) => write!(f, "the socket {name} of LISTEN_FDS"),
            Self::Default(key) => f.write_str(key),
        }
    }
}

/// Tells whether a line of the file may hold a password or a token, or one that was put into the wrong place: an address
/// with a user, something that calls itself a secret, or any line of a login.
fn may_hold_a_secret(line: &str, key: &str) -> bool {
    const WORDS: [&str; 6] = ["@", "pass", "pwd", "secret", "token", "credential"];
    let line = line.to_ascii_lowercase();
    key.contains("credential") || WORDS.iter().any(|word| line.contains(word))
}

/// A spot in the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Which file.
    pub file: Arc<PathBuf>,
    /// Its line, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
    /// How many characters are meant; at least 1, and none of the next line.
    pub width: usize,
    /// The line itself, or nothing when it could hold a secret.
    pub excerpt: Option<String>,
    /// The path of the key, as in `upstream[2].endpoints[0]`; empty for the file's own level.
    pub key: String,
}

impl Spot {
    /// Finds the spot of a range of bytes in the text of a file.
    pub(super) fn find(
        file: Arc<PathBuf>,
        text: &str,
        range: std::ops::Range<usize>,
        key: String,
    ) -> Self {
        let start = text.floor_char_boundary(range.start);
        let end = text.floor_char_boundary(range.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or("");
        let line_end = line_start + line.len();
        let width = text[start..end.min(line_end).max(start)].chars().count();
        Self {
            file,
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: width.max(1),
            excerpt: (!may_hold_a_secret(line, &key)).then(|| line.trim_end().to_owned()),
            key,
        }
    }

    /// Writes the line of the file, and a mark under what is meant.
    fn write_excerpt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(excerpt) = &self.excerpt else {
            return Ok(());
        };
        let number = self.line.to_string();
        let indent: String = excerpt
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let mark = "^".repeat(self.width);
        write!(f, "\n  {number} | {excerpt}")?;
        write!(f, "\n  {:1$} | {indent}{mark}", "", number.len())
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(text: &str, range: std::ops::Range<usize>) -> Spot {
        Spot::find(Arc::new("f.toml".into()), text, range, "k".into())
    }

    #[test]
    fn a_spot_is_counted_in_characters() {
        let text = "a = 1\r\né = \"ü\" # x\n\tb";
        let at = text.find('"').unwrap();
        let found = spot(text, at..at + 4);
        assert_eq!((found.line, found.column, found.width), (2, 5, 3));
        assert_eq!(found.excerpt.as_deref(), Some("é = \"ü\" # x"));
        let end = spot(text, text.len()..text.len());
        assert_eq!((end.line, end.column, end.width), (3, 3, 1));
        assert_eq!(
            Fault {
                place: Place::Text(end),
                files: Vec::new(),
                message: "m".into()
            }
            .to_string(),
            "f.toml:3:3: k: m\n  3 | \tb\n    | \t ^"
        );
        // Several lines are meant: the mark ends with the first one.
        assert_eq!(spot(text, 0..text.len()).width, 5);
    }

    #[test]
    fn a_line_that_could_hold_a_password_is_not_shown() {
        for line in [
            "url = 'https://u:p@h'",
            "Password = hunter2",
            "creds = { pwd = 'hunter2' }",
            "api_token = 'hunter2'",
            "[[upstream.credential]] # hunter2",
        ] {
            assert_eq!(spot(line, 0..3).excerpt, None, "{line}");
        }
        let file = Arc::new("f.toml".into());
        let key = "upstream[0].credentials".to_owned();
        assert_eq!(Spot::find(file, "pw = 'hunter2'", 0..2, key).excerpt, None);
    }
}
