//! The wish to have the configuration read again, on its way to whoever runs larder: this room does not know how that is
//! done.

use tokio::sync::{mpsc, oneshot};

use super::document::Reloaded;
use super::error::{ErrorCode, OperationError};

/// How many wishes wait at most. Each is answered by reading one file.
const WISHES: usize = 16;

/// Takes wishes to where they are heard. Clones lead to the same place.
#[derive(Clone, Debug)]
pub struct Reloads(mpsc::Sender<ReloadWish>);

/// Somebody wants the configuration read again, and to hear what came of it.
#[derive(Debug)]
pub struct ReloadWish(oneshot::Sender<Result<Reloaded, OperationError>>);

impl Reloads {
    /// Returns a way for wishes, and where they are heard.
    pub fn channel() -> (Self, mpsc::Receiver<ReloadWish>) {
        let (sender, receiver) = mpsc::channel(WISHES);
        (Self(sender), receiver)
    }

    /// Has the configuration read again, and waits for what comes of it.
    pub(super) async fn reload(&self) -> Result<Reloaded, OperationError> {
        let unheard = || OperationError::new(ErrorCode::Stopping, "larder is stopping");
        let (answer, answered) = oneshot::channel();
        let sent = self.0.send(ReloadWish(answer)).await;
        sent.map_err(|_| unheard())?;
        answered.await.map_err(|_| unheard())?
    }
}

impl ReloadWish {
    /// Tells what came of it to whoever still listens.
    pub fn answer(self, came: Result<Reloaded, OperationError>) {
        drop(self.0.send(came));
    }
}
