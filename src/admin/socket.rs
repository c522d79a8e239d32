//! Where a running larder takes its operator's commands: HTTP over a Unix socket in the cache folder, for root and for the
//! user that larder runs as. Who else may open the folder may not open this.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Type};
use tokio::net::{UnixListener, UnixStream};

use super::connections;
use super::operations::Operations;
use super::routes;
use crate::runtime::Tasks;

/// What connections are for, as the log says it.
const WHAT: &str = "the operator's commands";
/// How many connections the operating system keeps that are not accepted yet.
const BACKLOG: i32 = 16;
/// The user who may do everything.
const ROOT: u32 = 0;

/// A socket that listens. Its file goes when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    /// Before what it serves: while that is there, no other larder has the folder and a file of its own in it.
    _file: BoundFile,
    operations: Arc<Operations>,
    owner: u32,
    /// Which users may command the larder of which.
    commanders: fn(u32, u32) -> bool,
    tasks: Tasks,
}

impl Socket {
    /// Begins to listen. What a larder left there that was killed is replaced: the caller has the folder for itself.
    ///
    /// # Errors
    /// When the path is too long for a socket, which has 107 bytes, or the operating system refuses.
    pub fn bind(path: &Path, operations: Arc<Operations>, tasks: Tasks) -> io::Result<Self> {
        // Before anything is removed: a path that is too long is one that no larder listens at.
        let address = SockAddr::unix(path)?;
        remove_socket(path)?;
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // Linux gives the file the mode that the socket has, so that there is no moment at which others may open it.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        socket.bind(&address)?;
        let file = BoundFile(path.to_owned());
        // Not every kernel does: nobody is listened to before this.
        if fs::symlink_metadata(path)?.permissions().mode() & 0o777 != 0o600 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        }
        socket.listen(BACKLOG)?;
        let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
        Ok(Self {
            listener,
            _file: file,
            operations,
            owner: rustix::process::geteuid().as_raw(),
            commanders: may_command,
            tasks,
        })
    }

    /// Answers until the tasks are told to stop.
    pub async fn run(self) {
        let accept = || async { Ok(self.listener.accept().await?.0) };
        let serve = |stream: UnixStream| {
            let operations = self.operations.clone();
            let (owner, may_command) = (self.owner, self.commanders);
            async move {
                match stream.peer_cred().map(|peer| peer.uid()) {
                    Ok(user) if may_command(user, owner) => {}
                    Ok(user) => {
                        tracing::warn!(client.user = user, "refused the commands of another user");
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "refused commands: it is not known whose they are");
                        return;
                    }
                }
                let answer = move |request| {
                    let operations = operations.clone();
                    async move { routes::answer(&operations, request).await }
                };
                connections::converse(WHAT, stream, answer).await;
            }
        };
        connections::serve_all(WHAT, &self.tasks, accept, serve).await;
    }
}

/// Tells whether a user may command a larder that runs as `owner`.
fn may_command(user: u32, owner: u32) -> bool {
    user == ROOT || user == owner
}

/// Removes a socket that nobody listens at any more. Anything else stays, and is in the way.
fn remove_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The file of a socket, which goes with it.
#[derive(Debug)]
struct BoundFile(PathBuf);

impl Drop for BoundFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, path = %self.0.display(), "could not remove the socket");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::admin::operations::tests::operations;

    #[test]
    fn root_and_its_own_user_may_command_it() {
        for (user, owner, may) in [
            (0, 1000, true),
            (1000, 1000, true),
            (1001, 1000, false),
            (0, 0, true),
            (1000, 0, false),
        ] {
            assert_eq!(may_command(user, owner), may, "{user} {owner}");
        }
    }

    #[tokio::test]
    async fn another_user_gets_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("larder.sock");
        let tasks = Tasks::new();
        let operations = Arc::new(operations(&tasks));
        let mut socket = Socket::bind(&path, operations, tasks.clone()).unwrap();
        let own = socket.owner;
        // The test has no other user to be.
        socket.commanders = |_, _| false;
        let run = tasks.spawn("socket", socket.run());
        let mut stream = UnixStream::connect(&path).await.unwrap();
        assert_eq!(stream.peer_cred().unwrap().uid(), own);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"");
        assert_eq!(tasks.drain(Duration::from_secs(10)).await, 0);
        run.await.unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("f".repeat(100));
        fs::create_dir(&long).unwrap();
        let path = long.join("larder.sock");
        let tasks = Tasks::new();
        let operations = Arc::new(operations(&tasks));
        let refused = Socket::bind(&path, operations, tasks).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("larder.sock");
        fs::write(&path, "mine").unwrap();
        let tasks = Tasks::new();
        let operations = Arc::new(operations(&tasks));
        let refused = Socket::bind(&path, operations, tasks).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
}
