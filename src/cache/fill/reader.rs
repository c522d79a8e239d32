//! A client's way through a spool that is still growing.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::watch;

use super::{Fill, FillError, Progress, Readable, Reading};
use crate::answer::{Body, BodyError};
use crate::store::{FileSlice, Piece};

struct Reader {
    reading: Reading,
    progress: watch::Receiver<Progress>,
    position: u64,
    end: Option<u64>,
}

/// Reads what lies from `start` to `end` (`None`: to the end of the content), as it comes. Fails when the fill does.
pub fn read(fill: &Arc<Fill>, start: u64, end: Option<u64>) -> Body {
    let reader = Reader {
        reading: fill.attend(),
        progress: fill.watch(),
        position: start,
        end,
    };
    let pieces = stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((Err(BodyError::Cut(Arc::new(error))), None)),
        }
    });
    pieces.boxed()
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Piece>, FillError> {
        loop {
            if let Some(piece) = self.ready()? {
                return Ok(piece);
            }
            // A full queue means that others are asking: this reader asks again at the next change.
            self.reading.fill().ahead.try_send(self.position).ok();
            if self.progress.changed().await.is_err() {
                return Err(FillError::Stopping);
            }
        }
    }

    /// Returns the next piece, or the end, if one of them can be had now.
    #[expect(
        clippy::option_option,
        reason = "not yet, the end, and a piece are three things"
    )]
    fn ready(&mut self) -> Result<Option<Option<Piece>>, FillError> {
        let progress = self.progress.borrow_and_update();
        let length = match progress.readable(self.position, self.end) {
            Readable::Bytes(length) => length,
            Readable::Nothing => return Ok(None),
            Readable::End => return Ok(Some(None)),
            Readable::Failed(error) => return Err(error),
        };
        let file = progress
            .file
            .clone()
            .expect("the spool is published before its first byte");
        drop(progress);
        let slice = FileSlice {
            file,
            offset: self.position,
            length,
        };
        self.position += length;
        Ok(Some(Some(Piece::File(slice))))
    }
}
