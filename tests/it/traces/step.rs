//! A trace as data: what a client writes, in which order or at once, and what it needs of each answer.

use bytes::Bytes;
use larder::oci::{Algorithm, Digest, Measurer};

/// One request, and the answer without which its client fails, asks for more, or goes elsewhere.
#[derive(Clone, Debug)]
pub struct Step {
    pub method: &'static str,
    pub path: String,
    /// The header lines behind `Host`, each as it is written, in the client's order.
    pub lines: Vec<(&'static str, String)>,
    pub status: u16,
    /// Header lines of the answer: each is there once.
    pub needs: Vec<(&'static str, String)>,
    pub wants: Wants,
}

/// What the client reads of a body.
#[derive(Clone, Debug)]
pub enum Wants {
    /// Whatever comes.
    Anything,
    /// What this digest names.
    Content(Digest),
    /// These bytes, and no more come.
    Exactly(Bytes),
    /// These bytes, and then the client closes the connection, although more are to come.
    Beginning(Bytes),
}

/// What a client asks for before it goes on.
#[derive(Clone, Debug)]
pub enum Wave {
    /// One request, on the connection of the one before if that is still open.
    One(Step),
    /// Several, each on a connection of its own, and this many at a time.
    Several(usize, Vec<Step>),
}

/// What a client asks for, from the first request to the last.
pub type Trace = Vec<Wave>;

impl From<Step> for Wave {
    fn from(step: Step) -> Self {
        Self::One(step)
    }
}

/// The request.
impl Step {
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path.into())
    }

    pub fn head(path: impl Into<String>) -> Self {
        Self::new("HEAD", path.into())
    }

    fn new(method: &'static str, path: String) -> Self {
        Self {
            method,
            path,
            lines: Vec::new(),
            status: 200,
            needs: Vec::new(),
            wants: Wants::Anything,
        }
    }

    /// Adds a header line. Another one of the same name is another line.
    pub fn line(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.lines.push((name, value.into()));
        self
    }

    /// Adds a header line for each value.
    pub fn lines(self, name: &'static str, values: &[&str]) -> Self {
        values
            .iter()
            .fold(self, |step, value| step.line(name, *value))
    }
}

/// The answer.
impl Step {
    /// Needs this header line, and no other of this name.
    pub fn needs(mut self, name: &'static str, value: impl ToString) -> Self {
        self.needs.push((name, value.to_string()));
        self
    }

    /// Needs a manifest, with the three headers that describe it.
    pub fn manifest(self, media_type: &str, bytes: &Bytes) -> Self {
        let digest = digest_of(bytes);
        let mut step = self
            .needs("Content-Length", bytes.len())
            .needs("Docker-Content-Digest", digest)
            .needs("Content-Type", media_type);
        step.wants = Wants::Content(digest);
        step
    }

    /// Needs a whole blob of this size.
    pub fn blob(self, digest: &Digest, size: usize) -> Self {
        let mut step = self.needs("Content-Length", size);
        step.wants = Wants::Content(*digest);
        step
    }

    /// Needs a whole blob of this size as the part of itself that begins with its first byte.
    pub fn blob_as_part(mut self, digest: &Digest, size: usize) -> Self {
        self.status = 206;
        let range = format!("bytes 0-{}/{size}", size - 1);
        self.needs("Content-Range", range).blob(digest, size)
    }

    /// Needs these bytes and no others.
    pub fn exactly(self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let mut step = self.needs("Content-Length", bytes.len());
        step.wants = Wants::Exactly(bytes);
        step
    }

    /// Needs what a content has from here to its end, and asked for that.
    pub fn from(mut self, content: &Bytes, first: usize) -> Self {
        self.status = 206;
        let total = content.len();
        let step = self.needs(
            "Content-Range",
            format!("bytes {first}-{}/{total}", total - 1),
        );
        step.exactly(content.slice(first..))
    }

    /// Closes the connection when this many bytes of the answer are here, or all of it.
    pub fn closes_after(mut self, bytes: usize) -> Self {
        if let Wants::Exactly(whole) = &self.wants
            && bytes < whole.len()
        {
            self.wants = Wants::Beginning(whole.slice(..bytes));
        }
        self
    }
}

/// Returns the digest by which clients know a content.
pub fn digest_of(bytes: &[u8]) -> Digest {
    Measurer::measure(Algorithm::Sha256, bytes).digest()
}
