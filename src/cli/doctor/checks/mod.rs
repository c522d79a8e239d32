//! Asks at each address that clients were told of, as they would, and judges the answers. One file a question.

mod canary;
mod certificate;
mod clock;
mod leads;
mod present;
mod sight;

use super::ask::Door;
use super::finding::{Finding, Subject};
use super::way::{Place, Way};
use crate::addressing::ImageName;
use crate::runtime::Clock;

/// An address, and all who are told to ask there in the same manner.
#[derive(Debug)]
pub(super) struct Visit {
    /// Where.
    pub(super) place: Place,
    /// Who are told so, and for what.
    pub(super) ways: Vec<Way>,
    /// Whether larder has to be there.
    pub(super) expectation: Expectation,
}

/// What has to be at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    /// A client was told of it, maybe for another mirror.
    Anything,
    /// larder: somebody said so.
    Larder,
}

/// What can be asked of an address.
#[derive(Debug)]
pub(super) struct Checks<'a> {
    pub(super) image: Option<&'a ImageName>,
    pub(super) clock: Clock,
}

/// What came of a visit.
#[derive(Debug)]
pub(super) struct Visited {
    pub(super) findings: Vec<Finding>,
    /// Where a larder is, if one is there.
    pub(super) larder: Option<String>,
}

impl Checks<'_> {
    /// Asks all that there is to ask at an address.
    pub(super) async fn visit(&self, visit: &Visit) -> Visited {
        let mut findings = Vec::new();
        let larder = Box::pin(self.look(visit, &mut findings)).await;
        Visited { findings, larder }
    }

    async fn look(&self, visit: &Visit, findings: &mut Vec<Finding>) -> Option<String> {
        let door = present::find(visit, findings).await?;
        certificate::judge(visit, &door, self.clock.now(), findings);
        let ping = present::ping(visit, &door, findings).await?;
        clock::judge(&door, &ping, self.clock.now(), findings);
        sight::look(&door, findings).await;
        leads::look(&door, &visit.ways, findings).await;
        if let Some(image) = self.image {
            canary::pull(&door, visit, image, findings).await;
        }
        Some(door.address().to_string())
    }
}

/// Names the clients that are told of an address.
fn clients(visit: &Visit) -> String {
    let mut names: Vec<&str> = Vec::new();
    for way in &visit.ways {
        if !names.contains(&way.client.name()) {
            names.push(way.client.name());
        }
    }
    match names.is_empty() {
        true => String::new(),
        false => format!(" (for {})", names.join(", ")),
    }
}

/// Makes a finding of an address point to the first file in which it stands.
fn placed(visit: &Visit, finding: Finding) -> Finding {
    match visit.ways.first() {
        Some(way) => finding.at(&way.spot),
        None => finding,
    }
}

/// Returns what a finding about the whole of an address is about.
const ABOUT: Subject = Subject::Address;

/// Says how an address is written, for messages.
fn shown(door: &Door) -> String {
    door.address().to_string()
}
