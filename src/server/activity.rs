//! Whether something still happens on a connection: requests that are open, and when a client last took something.
//!
//! HTTP/1 has time limits of its own for what is read and written; HTTP/2 multiplexes, so that a connection that looks
//! alive (it answers pings) may hold bodies that nobody takes, or serve nobody at all. Both are found here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// What happens on one connection.
#[derive(Debug)]
pub struct Activity {
    began: Instant,
    /// When something last happened, in milliseconds since it began.
    last_ms: AtomicU64,
    /// How many requests are not answered to their end.
    open: AtomicUsize,
}

/// How long nothing may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// While there is no request.
    pub idle: Duration,
    /// While an answer is there to be taken.
    pub stalled: Duration,
}

/// A request that is not answered to its end.
#[derive(Debug)]
pub struct Open(Arc<Activity>);

/// The body of an answer, which keeps its request open and tells when it is taken from.
#[derive(Debug)]
pub struct Watched<B> {
    body: B,
    open: Open,
}

impl Activity {
    /// Begins with a connection.
    pub fn begin() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            last_ms: AtomicU64::new(0),
            open: AtomicUsize::new(0),
        })
    }

    /// Notes a request, which is open until the value is dropped.
    pub fn request(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.happened();
        Open(self.clone())
    }

    /// Waits until nothing has happened for too long. It may find an idle connection late, by as much as that limit.
    pub async fn quiet(&self, patience: Patience) {
        loop {
            let limit = match self.open.load(Ordering::Acquire) {
                0 => patience.idle,
                _ => patience.stalled,
            };
            let last = self.began + Duration::from_millis(self.last_ms.load(Ordering::Acquire));
            let left = (last + limit).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(patience.idle)).await;
        }
    }

    /// Notes that something happens now.
    pub fn happened(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Release);
    }
}

impl Open {
    /// Keeps the request open as long as this body.
    pub fn until_taken<B>(self, body: B) -> Watched<B> {
        Watched { body, open: self }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.happened();
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        // Whoever asks for more has taken what there was, also when there is no more yet.
        self.open.0.happened();
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};

    use super::*;

    const PATIENCE: Patience = Patience {
        idle: Duration::from_secs(10),
        stalled: Duration::from_secs(100),
    };

    async fn quiet_after(activity: &Activity) -> Duration {
        let from = Instant::now();
        activity.quiet(PATIENCE).await;
        from.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_request_is_given_more_time_from_when_it_was_last_taken_from() {
        let activity = Activity::begin();
        assert_eq!(quiet_after(&activity).await, PATIENCE.idle);
        let open = activity.request();
        let mut body = open.until_taken(Full::new(Bytes::from_static(b"some")));
        tokio::time::advance(Duration::from_secs(60)).await;
        body.frame().await.unwrap().unwrap();
        assert_eq!(quiet_after(&activity).await, PATIENCE.stalled);
        drop(body);
        assert_eq!(quiet_after(&activity).await, PATIENCE.idle);
    }
}
