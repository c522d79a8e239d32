//! `larder healthcheck`: asks a running larder whether it is ready, as the health checks of containers want to know.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http::header::HOST;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::args::ConfigArguments;
use super::failure::Failure;
use crate::admin::AdminUrl;
use crate::config::{self, Surroundings};

/// What `larder healthcheck --help` says behind the flags.
pub(super) const HEALTHCHECK_HELP: &str = "\
For the health checks of containers, which have no other program to ask with. It asks for /readyz at
server.metrics_listen, which has to be configured, and waits 3 seconds at most. A registry that does
not answer, or a full disk, makes larder no less ready.

A larder that runs does not mind a fault that somebody writes into its configuration: it goes on
with the one before. This command does, unless it is told the address by --url, for example
http://127.0.0.1:5001.

The exit code is 0 when larder is ready and 1 when it is not.";

/// The flags of `larder healthcheck`.
#[derive(Args, Debug)]
pub(super) struct HealthcheckArguments {
    /// Where larder has health and metrics, as http://host:port. See server.metrics_listen.
    ///
    /// No configuration is read then.
    #[arg(long, value_name = "URL")]
    url: Option<AdminUrl>,
    #[command(flatten)]
    config: ConfigArguments,
}

/// How long the answer may take: it needs no disk and no registry, and whoever checks gives up after a few seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Why there is nobody to ask.
#[derive(Debug, Error)]
#[error("server.metrics_listen is not configured: it is where a larder says whether it is ready")]
struct NowhereToAsk;

/// Fails when the larder with this configuration is not ready.
pub(super) fn healthcheck(
    arguments: HealthcheckArguments,
    surroundings: &Surroundings,
) -> Result<(), Failure> {
    let place = Place::find(arguments, surroundings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the runtime")
        .map_err(Failure::running)?;
    let asked = runtime.block_on(async { timeout(ANSWER_WITHIN, ask(&place)).await });
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    let status = match asked {
        Ok(answer) => answer.with_context(|| format!("no larder answers at {place}")),
        Err(_) => Err(anyhow::anyhow!(
            "the larder at {place} did not answer within {} seconds",
            ANSWER_WITHIN.as_secs()
        )),
    };
    match status.map_err(Failure::running)? {
        StatusCode::OK => Ok(()),
        status => Err(Failure::running(anyhow::anyhow!(
            "the larder at {place} is not ready: it answered {status}"
        ))),
    }
}

/// Where a larder says whether it is ready.
#[derive(Debug)]
enum Place {
    /// Where it listens by its configuration.
    Configured(SocketAddr),
    /// Where it is said to be.
    Told(AdminUrl),
}

impl Place {
    /// Finds out where to ask.
    fn find(arguments: HealthcheckArguments, surroundings: &Surroundings) -> Result<Self, Failure> {
        if let Some(url) = arguments.url {
            return Ok(Self::Told(url));
        }
        let loaded = config::load(&arguments.config.into(), surroundings);
        let listen = loaded.map_err(Failure::Configured)?.settings.metrics_listen;
        let listen = listen.ok_or_else(|| Failure::misused(NowhereToAsk))?;
        Ok(Self::Configured(reached_at(listen)))
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        match self {
            Self::Configured(address) => TcpStream::connect(address).await,
            Self::Told(url) => url.connect().await,
        }
    }

    /// Returns what stands in the header `Host`.
    fn host(&self) -> anyhow::Result<HeaderValue> {
        match self {
            Self::Configured(address) => Ok(HeaderValue::try_from(address.to_string())?),
            Self::Told(url) => Ok(url.host()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured(address) => address.fmt(f),
            Self::Told(url) => url.fmt(f),
        }
    }
}

/// Returns where this machine reaches a listener: one at all addresses is at the loopback one as well.
fn reached_at(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Asks whether a larder is ready, and returns the status of its answer.
async fn ask(place: &Place) -> anyhow::Result<StatusCode> {
    let stream = place.connect().await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz")
        .header(HOST, place.host()?)
        .body(Empty::<Bytes>::new())?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    // The connection moves nothing unless somebody waits for it.
    let response = tokio::select! {
        response = answer.as_mut() => response?,
        ended = connection => {
            ended?;
            answer.await?
        }
    };
    Ok(response.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_at_all_addresses_is_reached_at_the_loopback_one() {
        for (listen, reached) in [
            ("0.0.0.0:5001", "127.0.0.1:5001"),
            ("[::]:5001", "[::1]:5001"),
            ("127.0.0.2:7", "127.0.0.2:7"),
            ("192.0.2.1:7", "192.0.2.1:7"),
        ] {
            let address = reached_at(listen.parse().unwrap());
            assert_eq!(address, reached.parse().unwrap(), "{listen}");
        }
    }
}
