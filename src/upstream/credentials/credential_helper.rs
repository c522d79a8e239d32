//! Credential helpers: programs that are asked for a login (`docker-credential-<name> get`). One run of one.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::LoginSecret;
use super::server_name::ServerName;
use super::settings::HelperName;
use crate::runtime::Tasks;

/// Where helpers are, and how patient to be with them.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Helpers {
    /// The folders to look in, as `PATH` has them.
    pub(super) path: Option<OsString>,
    /// How long one may take, its turn included.
    pub(super) patience: Duration,
    /// How many run at once, of all upstreams together: the names of registries come from clients.
    pub(super) places: Arc<Semaphore>,
}

/// How long a helper may take: some ask a service of a cloud first.
const HELPER_TIMEOUT: Duration = Duration::from_secs(10);
/// How many helpers run at once. Each is a process.
const MAX_HELPERS: usize = 8;
/// The most that is read of its answer.
const MAX_ANSWER: u64 = 64 << 10;
/// How much of its complaint is shown to people.
const MAX_COMPLAINT: usize = 200;
/// How long to wait for the end of a complaint when the helper is gone: a program that it started may keep it open.
const COMPLAINT_PATIENCE: Duration = Duration::from_secs(1);
/// What helpers say, and fail, when they know no login.
const NOT_FOUND: &[u8] = b"credentials not found in native keychain";

/// Helpers of clouds get a token for whoever runs them, and the ends of the names of registries that this is for: none
/// other is asked for, or another registry would be shown what opens the cloud.
const CLOUDS: &[(&str, &[&str])] = &[
    (
        "ecr-login",
        &[
            ".amazonaws.com",
            ".amazonaws.com.cn",
            ".amazonaws.eu",
            ".on.aws",
            ".on.amazonwebservices.com.cn",
            "public.ecr.aws",
        ],
    ),
    ("gcloud", GOOGLE),
    ("gcr", GOOGLE),
    ("acr-env", AZURE),
    ("acr-linux", AZURE),
    ("acr", AZURE),
];
const GOOGLE: &[&str] = &["gcr.io", ".gcr.io", ".pkg.dev"];
const AZURE: &[&str] = &[".azurecr.io", ".azurecr.cn", ".azurecr.us", ".azurecr.de"];

impl Helpers {
    /// Looks where this process does.
    pub(in crate::upstream) fn from_environment() -> Self {
        Self {
            path: std::env::var_os("PATH"),
            patience: HELPER_TIMEOUT,
            places: Arc::new(Semaphore::new(MAX_HELPERS)),
        }
    }

    /// Asks a helper for the login at a server; `None` when it knows none, or is for the registries of a cloud and this
    /// is none of them. Dropping the future kills the helper.
    ///
    /// # Errors
    /// Says what is wrong, for people. What the helper prints as an answer is not in it.
    pub(super) async fn ask(
        &self,
        name: &HelperName,
        server: &ServerName,
        tasks: &Tasks,
    ) -> Result<Option<LoginSecret>, Arc<str>> {
        if !is_meant(name, server) {
            return Ok(None);
        }
        let asking = async {
            let place = self.places.acquire().await;
            let _place = place.map_err(|_| "has no place to run".to_owned())?;
            let program = self.program(name, tasks).await?;
            run(program, server).await
        };
        let late = || format!("did not answer within {:?}", self.patience);
        let result = timeout(self.patience, asking).await;
        let result = result.unwrap_or_else(|_| Err(late()));
        result.map_err(|problem| format!("the credential helper '{name}' {problem}").into())
    }

    /// Finds the program. Folders that depend on where we are do not count.
    async fn program(&self, name: &HelperName, tasks: &Tasks) -> Result<PathBuf, String> {
        let file = format!("docker-credential-{name}");
        let path = self.path.clone().unwrap_or_default();
        let candidate = file.clone();
        let searching = tasks.spawn_blocking(move || {
            std::env::split_paths(&path)
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join(&candidate))
                .find(|program| is_program(program.as_os_str()))
        });
        match searching.await {
            Ok(Some(program)) => Ok(program),
            Ok(None) | Err(_) => Err(format!(
                "cannot be run: there is no program '{file}' in PATH"
            )),
        }
    }
}

fn is_program(path: &OsStr) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Returns whether a helper may be asked for a server.
pub(super) fn is_meant(name: &HelperName, server: &ServerName) -> bool {
    let cloud = CLOUDS.iter().find(|(known, _)| *known == name.as_str());
    cloud.is_none_or(|(_, hosts)| {
        let host = server.host();
        hosts.iter().any(|known| match known.strip_prefix('.') {
            Some(_) => host.ends_with(known),
            None => host == *known,
        })
    })
}

/// A helper that runs, in a group of its own. When it is dropped before its end, it is killed with what it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // There is an id as long as nobody took down its end, so that it is nobody else's.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw)
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!(%error, "a credential helper could not be killed");
        }
    }
}

/// Runs a helper to its end.
async fn run(program: PathBuf, server: &ServerName) -> Result<Option<LoginSecret>, String> {
    let child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let mut running = Running(child);
    let child = &mut running.0;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut complaint = Vec::new();
    let answering = async {
        let ((), answer) = tokio::join!(tell(stdin, server), read(stdout));
        let answer = answer?;
        let status = child.wait().await;
        let status = status.map_err(|error| format!("got lost: {error}"))?;
        Ok::<_, String>((status, answer))
    };
    let (status, answer) = {
        let (mut answering, mut complaining) =
            (pin!(answering), pin!(listen(stderr, &mut complaint)));
        tokio::select! {
            answer = &mut answering => {
                let _in_time = timeout(COMPLAINT_PATIENCE, complaining).await;
                answer?
            }
            () = &mut complaining => answering.await?,
        }
    };
    judge(status, &answer, &complaint)
}

/// Tells the helper which server is meant. One that does not listen says so by its answer.
async fn tell(stdin: Option<ChildStdin>, server: &ServerName) {
    if let Some(mut stdin) = stdin
        && let Err(error) = stdin.write_all(server.helper_key().as_bytes()).await
    {
        tracing::debug!(%error, "a credential helper does not listen");
    }
}

/// Reads an answer.
async fn read(stdout: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, String> {
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        let reading = stdout.take(MAX_ANSWER + 1).read_to_end(&mut answer).await;
        reading.map_err(|error| format!("got lost: {error}"))?;
    }
    match u64::try_from(answer.len()) {
        Ok(length) if length <= MAX_ANSWER => Ok(answer),
        Ok(_) | Err(_) => Err(format!("answers more than {} KiB", MAX_ANSWER >> 10)),
    }
}

/// Keeps the beginning of a complaint, and hears the rest, or the helper would wait for us.
async fn listen(stderr: Option<impl AsyncRead + Unpin>, complaint: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else { return };
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        let room = MAX_COMPLAINT.saturating_sub(complaint.len()).min(length);
        complaint.extend_from_slice(&piece[..room]);
    }
}

/// What a helper prints.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

/// Makes sense of how a helper ended.
fn judge(
    status: ExitStatus,
    answer: &[u8],
    complaint: &[u8],
) -> Result<Option<LoginSecret>, String> {
    if !status.success() {
        if answer
            .windows(NOT_FOUND.len())
            .any(|part| part == NOT_FOUND)
        {
            return Ok(None);
        }
        return Err(format!("failed ({status}){}", shown(complaint)));
    }
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|_| "answers something else than a login")?;
    let secret = answer.secret.trim_end_matches(['\0', '\n', '\r']);
    if answer.username.contains(':') {
        return Err("answers a user with a ':'".into());
    }
    Ok(LoginSecret::of_pair(&answer.username, secret))
}

/// Shows a complaint in one line.
fn shown(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        String::new()
    } else {
        format!(": {}", words.join(" "))
    }
}
