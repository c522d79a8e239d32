//! The token that opens the operator's door over TCP: one line of a file, read again for each request, so that a new one
//! counts at once. What is compared is its fingerprint, in a time that says nothing about how much of a guess is right.

use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::upstream::Secret;

/// The fewest characters of a token: with them taken at random, guessing has no end.
pub const FEWEST_CHARACTERS: usize = 16;
/// The largest file that is read, in bytes: tokens are short, and go into a header of which 16 KiB are taken.
const LARGEST_FILE: u64 = 4096;

/// Why a file holds no token. Nothing of what is in it is told.
#[derive(Debug, Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("'{}' cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is something else than a file with a token.
    #[error("'{}' {problem}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

/// Reads the token of a file. Blocks.
///
/// # Errors
/// [`TokenError`] when there is none, or one that is easily guessed.
pub fn read(path: &Path) -> Result<Secret, TokenError> {
    let unreadable = |source| TokenError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let unfit = |problem: String| TokenError::Unfit {
        path: path.to_owned(),
        problem,
    };
    let file = OpenOptions::new()
        .read(true)
        // Else a pipe would keep us until somebody writes into it.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(unfit("is not a file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        let problem = format!("has more than {LARGEST_FILE} bytes: write one line with a token");
        return Err(unfit(problem));
    }
    parse(&bytes).map_err(unfit)
}

/// Takes the token out of what a file holds: one line, of characters that can stand in a header.
fn parse(bytes: &[u8]) -> Result<Secret, String> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err("has more than one line: write one with a token".to_owned());
    }
    if !line.iter().all(u8::is_ascii_graphic) {
        let problem = "holds something else than letters, digits and signs of ASCII without spaces: \
             `openssl rand -hex 32` makes a token";
        return Err(problem.to_owned());
    }
    if line.len() < FEWEST_CHARACTERS {
        return Err(format!(
            "holds a token of fewer than {FEWEST_CHARACTERS} characters, which can be guessed: \
             `openssl rand -hex 32` makes a good one"
        ));
    }
    let token = std::str::from_utf8(line).expect("ASCII is text");
    Ok(Secret::new(token))
}

/// Tells whether two tokens are the same, in a time that does not depend on where they differ.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    // Both have the same length after this, and who guesses does not choose where they differ.
    let (one, other) = (Sha256::digest(one), Sha256::digest(other));
    let pairs = one.iter().zip(other.iter());
    black_box(pairs.fold(0, |found, (one, other)| black_box(found | (one ^ other)))) == 0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_is_one_line_that_is_not_easily_guessed() {
        for (text, told) in [
            ("0123456789abcdef", None),
            ("0123456789abcdef\n", None),
            ("0123456789abcdef\r\n", None),
            ("0123456789abcde\n", Some("fewer than 16 characters")),
            ("", Some("fewer than 16 characters")),
            ("0123456789abcdef\n\n", Some("more than one line")),
            ("0123456789\nabcdefghij", Some("more than one line")),
            ("0123456789 abcdef", Some("something else")),
            ("0123456789abcdefü", Some("something else")),
        ] {
            match (parse(text.as_bytes()), told) {
                (Ok(token), None) => assert_eq!(token.expose(), "0123456789abcdef"),
                (Err(problem), Some(told)) => assert!(problem.contains(told), "{problem}"),
                (parsed, _) => panic!("{text:?}: {parsed:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_file_of_a_token_is_told_without_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let told = || read(&path).unwrap_err().to_string();
        assert!(
            told().contains("cannot be read: No such file"),
            "{}",
            told()
        );
        fs::write(&path, "hunter2").unwrap();
        assert!(told().contains("fewer than 16"), "{}", told());
        assert!(!told().contains("hunter2"), "{}", told());
        fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(told().contains("more than 4096 bytes"), "{}", told());
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(told().ends_with("is not a file"), "{}", told());
    }

    #[test]
    fn tokens_are_the_same_as_a_whole() {
        assert!(is_same(b"0123456789abcdef", b"0123456789abcdef"));
        for other in [
            "",
            "0123456789abcde",
            "0123456789abcdeF",
            "0123456789abcdef0",
        ] {
            assert!(!is_same(b"0123456789abcdef", other.as_bytes()), "{other}");
        }
    }
}
