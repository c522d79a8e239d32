//! `larder reload`: has the running larder read its configuration again, and says what that changed.

use clap::Args;

use super::args::{FolderArguments, Format};
use super::failure::Failure;
use super::operator;
use super::output::Output;
use super::printable;
use crate::admin::document::Reloaded;
use crate::config::Surroundings;

/// What `larder reload --help` says behind the flags.
pub(super) const RELOAD_HELP: &str = "\
A larder that serves reads its configuration again by itself within two seconds after the file
changed, and on SIGHUP; this command waits for it, and says what changed. A configuration with a
fault changes nothing and makes the exit code 2. What is under way goes on as it began.

Sockets and the cache folder stay what they are until larder starts again: server.listen,
server.metrics_listen, and all of [server.tls] and [admin], whose files are read again whenever they
change, and cache.path.

The JSON has the keys file, changed, needs_restart and warnings. `larder --help` has the exit codes.";

/// The flags of `larder reload`.
#[derive(Args, Debug)]
pub(super) struct ReloadArguments {
    /// How to show what came of it: as text, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    folder: FolderArguments,
}

/// What to do when no larder runs.
const INSTEAD: &str =
    "it reads its configuration when it starts; `larder check` says what is wrong with it";

/// Has the configuration read, and prints what came of it.
pub(super) fn reload(
    arguments: ReloadArguments,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let ReloadArguments {
        output: format,
        folder,
    } = arguments;
    let done = operator::command(&folder.into(), surroundings, INSTEAD, async |client| {
        operator::heard(client.reload().await)
    })?;
    output.data(&match format {
        Format::Table => table(&done),
        Format::Json => printable::json(&done),
    });
    Ok(())
}

fn table(done: &Reloaded) -> String {
    let Reloaded {
        file,
        changed,
        needs_restart,
        warnings,
    } = done;
    let file = file.as_deref().map_or("no file".into(), printable::short);
    let mut lines = vec![match changed.as_slice() {
        [] => format!("nothing changes: {file}"),
        changed => format!("in force: {file}; changed: {}", list(changed)),
    }];
    if !needs_restart.is_empty() {
        lines.push(format!("needs a restart: {}", list(needs_restart)));
    }
    let warnings = warnings.iter();
    lines.extend(warnings.map(|warning| format!("warning: {}", printable::short(warning))));
    lines.join("\n")
}

fn list(keys: &[String]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| printable::short(key)).collect();
    keys.join(", ")
}
