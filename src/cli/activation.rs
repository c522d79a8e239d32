//! Sockets that were opened before larder was started: socket activation, as systemd does it (`sd_listen_fds(3)`).

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, bail, ensure};
use listenfd::ListenFd;
use socket2::SockRef;

use crate::config::{GivenSockets, Surroundings};
use crate::server;

/// What sockets are for, by the names that they are given (`FileDescriptorName=`), in the order in which they come when
/// they have no such names.
const NAMES: [&str; 3] = ["registry", "registry-tls", "metrics"];

/// The sockets of this process.
#[derive(Debug, Default)]
pub(super) struct Activated([Option<TcpListener>; NAMES.len()]);

impl Activated {
    /// Takes the sockets, when there are any. To be called once, before anything else is opened.
    ///
    /// # Errors
    /// When what was given cannot be used, or it is not known for what.
    pub(super) fn take(surroundings: &Surroundings) -> anyhow::Result<Self> {
        let mut activated = Self::default();
        let Some(uses) = uses(surroundings, std::process::id())? else {
            return Ok(activated);
        };
        let mut given = ListenFd::from_env();
        for (index, place) in uses.into_iter().enumerate() {
            let name = NAMES[place];
            // It is closed when another program is started, from here on.
            let socket = given
                .take_tcp_listener(index)
                .with_context(|| format!("could not take the socket {name} of LISTEN_FDS"))?
                .with_context(|| format!("there is no socket {name} in LISTEN_FDS"))?;
            let is_listening = SockRef::from(&socket).is_listener().unwrap_or(false);
            ensure!(
                is_listening,
                "the socket {name} of LISTEN_FDS does not listen: write Accept=no in its unit"
            );
            activated.0[place] = Some(socket);
        }
        Ok(activated)
    }

    /// Returns where they listen.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub(super) fn addresses(&self) -> anyhow::Result<GivenSockets> {
        let address = |socket: &Option<TcpListener>| -> anyhow::Result<Option<SocketAddr>> {
            let address = socket.as_ref().map(TcpListener::local_addr);
            address.transpose().context("a socket has no address")
        };
        let [registry, registry_tls, metrics] = &self.0;
        Ok(GivenSockets {
            registry: address(registry)?,
            registry_tls: address(registry_tls)?,
            metrics: address(metrics)?,
        })
    }

    /// Returns the sockets of the registry API, and the one of health and metrics.
    pub(super) fn into_sockets(self) -> (server::Sockets, Option<TcpListener>) {
        let [registry, registry_tls, metrics] = self.0;
        let sockets = server::Sockets {
            registry,
            registry_tls,
        };
        (sockets, metrics)
    }
}

/// Finds out what each socket is for, as places in [`NAMES`]. `None` when none was given to this process.
fn uses(surroundings: &Surroundings, process: u32) -> anyhow::Result<Option<Vec<usize>>> {
    let variable = |name| {
        surroundings
            .variable(name)
            .map(|text| text.to_string_lossy())
    };
    let (Some(count), Some(owner)) = (variable("LISTEN_FDS"), variable("LISTEN_PID")) else {
        return Ok(None);
    };
    // What was meant for a parent of this process is not for it.
    if owner != process.to_string() {
        return Ok(None);
    }
    let most = NAMES.len();
    let count: usize = match count.parse() {
        Ok(0) => return Ok(None),
        Ok(count) if count <= most => count,
        Ok(_) | Err(_) => bail!("LISTEN_FDS is '{count}': larder takes {most} sockets at most"),
    };
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let known = |name: &&str| NAMES.iter().position(|known| known == name);
    // systemd gives those without a name the one of their unit.
    if !names.iter().any(|name| known(name).is_some()) {
        return Ok(Some((0..count).collect()));
    }
    ensure!(
        names.len() == count,
        "LISTEN_FDNAMES has {} names for {count} sockets",
        names.len()
    );
    let mut uses = Vec::new();
    for name in &names {
        let all = NAMES.join(", ");
        let place = known(name).with_context(|| {
            format!("'{name}' in LISTEN_FDNAMES is no socket of larder, which knows {all}")
        })?;
        ensure!(!uses.contains(&place), "LISTEN_FDNAMES has '{name}' twice");
        uses.push(place);
    }
    Ok(Some(uses))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::*;

    fn uses_of(variables: &[(&str, &str)]) -> Result<Option<Vec<usize>>, String> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)));
        let surroundings = Surroundings {
            variables: variables.collect(),
            is_root: false,
            working_folder: PathBuf::new(),
            system_folder: PathBuf::new(),
            sockets: GivenSockets::default(),
            open_at: Vec::new(),
        };
        uses(&surroundings, 7).map_err(|error| error.to_string())
    }

    #[test]
    fn sockets_are_told_apart_by_name_or_order() {
        for (owner, count, names, uses) in [
            ("7", "1", "", Some(&[0][..])),
            ("7", "2", "larder.socket:larder.socket", Some(&[0, 1])),
            ("7", "3", "", Some(&[0, 1, 2])),
            ("7", "2", "metrics:registry-tls", Some(&[2, 1])),
            ("7", "1", "metrics", Some(&[2])),
            ("7", "0", "", None),
            ("8", "1", "", None),
            ("", "1", "", None),
            ("7", "", "", None),
        ] {
            let found = uses_of(&[
                ("LISTEN_PID", owner),
                ("LISTEN_FDS", count),
                ("LISTEN_FDNAMES", names),
            ]);
            assert_eq!(
                found,
                Ok(uses.map(<[usize]>::to_vec)),
                "{owner} {count} {names}"
            );
        }
    }

    #[test]
    fn sockets_whose_use_is_not_known_are_refused() {
        for (count, names, told) in [
            ("4", "", "3 sockets at most"),
            ("one", "", "LISTEN_FDS is 'one'"),
            ("-1", "", "LISTEN_FDS is '-1'"),
            ("2", "registry", "1 names for 2 sockets"),
            (
                "2",
                "registry:admin",
                "'admin' in LISTEN_FDNAMES is no socket of larder",
            ),
            ("2", "registry:registry", "'registry' twice"),
        ] {
            let found = uses_of(&[
                ("LISTEN_PID", "7"),
                ("LISTEN_FDS", count),
                ("LISTEN_FDNAMES", names),
            ]);
            let message = found.unwrap_err();
            assert!(message.contains(told), "{message}");
        }
    }
}
