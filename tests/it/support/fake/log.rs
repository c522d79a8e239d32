//! What a fake registry was asked, in order, and waiting for it to be asked.

use http::StatusCode;
use larder::oci::Digest;
use tokio::sync::watch;

use super::super::PATIENCE;
use super::request::{Kind, Progress, Request};

/// The requests since the start, or since the log was cleared.
#[derive(Clone, Debug, Default)]
pub struct Log {
    requests: Vec<Request>,
    /// How many requests were cleared away: numbers of requests go on counting.
    cleared: usize,
}

impl Log {
    /// Returns every request, in the order in which they came.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Returns how many requests of this kind, or these kinds, came.
    pub fn count(&self, kinds: impl IntoIterator<Item = Kind>) -> usize {
        let kinds: Vec<Kind> = kinds.into_iter().collect();
        let is_asked_for = |request: &&Request| kinds.contains(&request.kind);
        self.requests.iter().filter(is_asked_for).count()
    }

    /// Returns the requests that name this digest in their path.
    pub fn requests_for(&self, digest: &Digest) -> Vec<&Request> {
        let names_it = |request: &&Request| request.digest().as_ref() == Some(digest);
        self.requests.iter().filter(names_it).collect()
    }

    /// Returns how many bytes of a blob were handed out, over all requests. Bodies of errors do not count.
    pub fn blob_bytes(&self, digest: &Digest) -> u64 {
        let is_of_blob = |request: &&Request| {
            matches!(request.kind, Kind::BlobGet | Kind::Storage)
                && request.status.is_some_and(|status| status.is_success())
        };
        let requests = self.requests_for(digest).into_iter();
        requests
            .filter(is_of_blob)
            .map(|request| request.sent)
            .sum()
    }

    /// Returns the requests as text, one line each, as [`Request`] prints.
    pub fn lines(&self) -> Vec<String> {
        self.requests.iter().map(Request::to_string).collect()
    }
}

/// Keeps the log of one registry and wakes those who wait for it.
#[derive(Debug, Default)]
pub struct Recorder {
    log: watch::Sender<Log>,
}

impl Recorder {
    /// Returns the log as it is now.
    pub fn log(&self) -> Log {
        self.log.borrow().clone()
    }

    /// Forgets all requests. Answers that are on their way are no longer counted.
    pub fn clear(&self) {
        self.log.send_modify(|log| {
            log.cleared += log.requests.len();
            log.requests.clear();
        });
    }

    /// Waits until the log fulfils a condition, which is asked after each request and each piece of a body.
    pub async fn wait_for(&self, condition: impl Fn(&Log) -> bool) {
        let mut receiver = self.log.subscribe();
        let fulfilled = async { receiver.wait_for(condition).await.map(drop) };
        match tokio::time::timeout(PATIENCE, fulfilled).await {
            Ok(fulfilled) => fulfilled.expect("the sender lives as long as `self`"),
            Err(_) => panic!(
                "what the test waits for did not come; the log is {:#?}",
                self.log().lines()
            ),
        }
    }

    /// Adds a request and returns the number to report by.
    pub fn record(&self, request: Request) -> usize {
        let mut number = 0;
        self.log.send_modify(|log| {
            number = log.cleared + log.requests.len();
            log.requests.push(request);
        });
        number
    }

    /// Notes that the headers of an answer go out.
    pub fn answered(&self, number: usize, status: StatusCode) {
        self.change(number, |request| {
            request.status = Some(status);
            request.progress = Progress::Sending;
        });
    }

    /// Notes that more of a body was handed out.
    pub fn sent(&self, number: usize, bytes: u64) {
        self.change(number, |request| request.sent += bytes);
    }

    /// Notes that an answer is over, one way or the other.
    pub fn ended(&self, number: usize, progress: Progress) {
        self.change(number, |request| request.progress = progress);
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut Request)) {
        self.log.send_modify(|log| {
            let index = number.checked_sub(log.cleared);
            if let Some(request) = index.and_then(|index| log.requests.get_mut(index)) {
                change(request);
            }
        });
    }
}
