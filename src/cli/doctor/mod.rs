//! `larder doctor`: looks at what the clients of this machine are told, and at the larder that they ask, and says what is
//! wrong and what to do. It changes nothing.
//!
//! `clients` reads files and asks nobody; `checks` asks, and reads no files but those of certificates; `own` looks at the
//! larder whose configuration is here. All of them say what they find in the same form (`finding.rs`).

mod address;
mod arguments;
mod ask;
mod checks;
mod clients;
mod document;
mod finding;
mod machine;
mod own;
mod report;
mod standing;
#[cfg(test)]
mod tests;
mod way;
mod witness;

pub(super) use arguments::{DOCTOR_HELP, DoctorArguments};

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use futures_util::stream::{self, StreamExt};

use super::args::Format;
use super::failure::Failure;
use super::log_settings;
use super::operator::Meant;
use super::output::Output;
use crate::config::Surroundings;
use crate::runtime::Clock;
use crate::telemetry::log::{self, LogLevel};
use crate::upstream::EndpointUrl;
use address::{Address, Scheme};
use checks::{Checks, Expectation, Visit, Visited};
use finding::{Finding, Severity, Subject};
use machine::Machine;
use own::Own;
use report::Report;
use way::{Place, Trust, Way};

/// How many addresses are asked at once: few machines have more, and one that does not answer holds up no other.
const AT_ONCE: usize = 16;

/// Says what is wrong. A fault makes the command fail.
pub(super) fn doctor(
    arguments: DoctorArguments,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let format = arguments.output;
    log::init(&log_settings(surroundings, LogLevel::warnings())?).map_err(Failure::running)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the runtime")
        .map_err(Failure::running)?;
    let report = runtime.block_on(Box::pin(examine(arguments, surroundings)));
    // Nobody waits for the resolver of the system, which cannot be stopped.
    runtime.shutdown_background();
    output.data(&match format {
        Format::Table => report.text(),
        Format::Json => report.json(),
    });
    match report.count(Severity::Fault) {
        0 => Ok(()),
        1 => Err(Failure::running(anyhow!("a fault was found"))),
        count => Err(Failure::running(anyhow!("{count} faults were found"))),
    }
}

/// Looks at everything.
async fn examine(arguments: DoctorArguments, surroundings: &Surroundings) -> Report {
    let DoctorArguments {
        url,
        image,
        root,
        home,
        output: _,
        folder,
    } = arguments;
    let machine = machine(root, home, surroundings);
    let told = clients::examine(&machine);
    let meant: Meant = folder.into();
    let mut own = match &meant {
        Meant::Folder(flags) => Own::of_folder(flags, surroundings),
        Meant::Remote { .. } => Own::default(),
    };
    let visits = visits(url.as_ref(), &told.ways, &mut own);
    let checks = Checks {
        image: image.as_ref(),
        clock: Clock::system(),
    };
    let visiting = visits.iter().map(|visit| Box::pin(checks.visit(visit)));
    let visiting = stream::iter(visiting).buffered(AT_ONCE);
    let visited: Vec<Visited> = visiting.collect().await;
    // What does not run here has no disk and no registries that would be of interest.
    if own.is_configured || matches!(meant, Meant::Remote { .. }) {
        own.look_at_disk();
        Box::pin(own.look_at_upstreams(&meant, surroundings)).await;
    }
    let mut findings = told.findings;
    let mut larders: Vec<String> = Vec::new();
    for (visit, visited) in visits.iter().zip(visited) {
        findings.extend(visited.findings);
        let asked = visited
            .larder
            .filter(|it| !visit.ways.is_empty() && !larders.contains(it));
        larders.extend(asked);
    }
    findings.extend(own.findings);
    findings.extend(several(&larders));
    if image.is_none() {
        let message = "no image was pulled to try it";
        let note = Finding::note(Subject::Canary, message);
        findings.push(
            note.remedy("name one with --image; it costs a pull where larder has it not yet"),
        );
    }
    Report::new(told.ways, findings)
}

/// Finds the folders below which the files of the clients are.
fn machine(root: PathBuf, home: Option<PathBuf>, surroundings: &Surroundings) -> Machine {
    let of_system = Machine::new(root.clone(), None);
    let usual = || Some(of_system.system(PathBuf::from(surroundings.variable("HOME")?)));
    let home = home.or_else(usual);
    Machine::new(root, home)
}

/// Puts together whom to ask: everybody of whom clients were told, and where larder should be.
fn visits(url: Option<&EndpointUrl>, ways: &[Way], own: &mut Own) -> Vec<Visit> {
    let mut visits: Vec<Visit> = Vec::new();
    for way in ways {
        let mut place = way.place.clone();
        if place.address.scheme == Scheme::Http {
            // Nothing of it matters there.
            place.trust = Trust::default();
        }
        match visits.iter_mut().find(|visit| visit.place == place) {
            Some(visit) => visit.ways.push(way.clone()),
            None => visits.push(Visit {
                place,
                ways: vec![way.clone()],
                expectation: Expectation::Anything,
            }),
        }
    }
    let expected = match url {
        Some(url) => vec![wanted(url)],
        // Of a larder of another machine clients tell where it is.
        None if own.is_configured || visits.is_empty() => own.visits(),
        None => Vec::new(),
    };
    for expected in expected {
        let is_there = |visit: &&mut Visit| visit.place.address == expected.place.address;
        let mut known = visits.iter_mut().filter(is_there).peekable();
        if known.peek().is_none() {
            visits.push(expected);
            continue;
        }
        for visit in known {
            visit.expectation = Expectation::Larder;
        }
    }
    visits
}

/// Makes a visit of the address that was given.
fn wanted(url: &EndpointUrl) -> Visit {
    let scheme = match url.is_encrypted() {
        true => Scheme::Https,
        false => Scheme::Http,
    };
    let authority = format!("{}:{}", url.host(), url.port());
    Visit {
        place: Place {
            address: Address::new(scheme, &authority),
            trust: Trust::default(),
        },
        ways: Vec::new(),
        expectation: Expectation::Larder,
    }
}

/// Says that clients ask larder at more than one address.
fn several(larders: &[String]) -> Option<Finding> {
    (larders.len() > 1).then(|| {
        let message = format!(
            "clients of this machine ask larder at several addresses: {}",
            larders.join(", ")
        );
        let note = Finding::note(Subject::Clients, message);
        note.remedy("where these are several larders, each fetches and keeps what the others have")
    })
}
