//! What the doctor says: where clients are led, and what was found, the worst first.

use serde::Serialize;

use super::finding::{Finding, Severity};
use super::way::{Naming, OnError, Way};
use crate::cli::columns::columns;
use crate::cli::printable;

/// All that is told.
#[derive(Debug)]
pub(super) struct Report {
    ways: Vec<Way>,
    findings: Vec<Finding>,
}

/// A report for machines.
#[derive(Serialize)]
struct Document<'a> {
    ways: Vec<WayDocument<'a>>,
    findings: Vec<FindingDocument<'a>>,
    faults: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct WayDocument<'a> {
    client: &'static str,
    file: String,
    line: Option<usize>,
    /// `None` for all others.
    registry: Option<&'a str>,
    url: String,
    path: &'a str,
    says_registry: bool,
    on_error: OnError,
}

#[derive(Serialize)]
struct FindingDocument<'a> {
    severity: &'static str,
    about: &'static str,
    file: Option<String>,
    line: Option<usize>,
    message: &'a str,
    remedy: Option<&'a str>,
}

impl Report {
    /// Puts what was found into its order. The same is told once.
    pub(super) fn new(ways: Vec<Way>, found: Vec<Finding>) -> Self {
        let mut findings: Vec<Finding> = Vec::new();
        for finding in found {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        findings.sort_by_key(|finding| finding.severity);
        Self { ways, findings }
    }

    /// Counts what is so bad.
    pub(super) fn count(&self, severity: Severity) -> usize {
        let mut count = 0;
        for finding in &self.findings {
            count += usize::from(finding.severity == severity);
        }
        count
    }

    /// Writes it for machines.
    pub(super) fn json(&self) -> String {
        let ways = self.ways.iter().map(|way| WayDocument {
            client: way.client.name(),
            file: way.spot.file.display().to_string(),
            line: way.spot.line,
            registry: way.scope.name(),
            url: way.place.address.to_string(),
            path: &way.path,
            says_registry: way.naming == Naming::Parameter,
            on_error: way.on_error,
        });
        let findings = self.findings.iter().map(|finding| FindingDocument {
            severity: finding.severity.name(),
            about: finding.about.name(),
            file: finding
                .spot
                .as_ref()
                .map(|spot| spot.file.display().to_string()),
            line: finding.spot.as_ref().and_then(|spot| spot.line),
            message: &finding.message,
            remedy: finding.remedy.as_deref(),
        });
        printable::json(&Document {
            ways: ways.collect(),
            findings: findings.collect(),
            faults: self.count(Severity::Fault),
            warnings: self.count(Severity::Warning),
        })
    }

    /// Writes it for people.
    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        if !self.ways.is_empty() {
            let heads = ["CLIENT", "ASKS", "AFTER AN ERROR", "FOR IMAGES OF"];
            lines.extend(columns(&heads, self.rows()));
            lines.push(String::new());
        }
        for finding in &self.findings {
            lines.extend(told(finding));
        }
        lines.push(String::new());
        let count = |severity, one: &str| match self.count(severity) {
            1 => format!("1 {one}"),
            count => format!("{count} {one}s"),
        };
        lines.push(format!(
            "{}, {}, {}, {} as it should be",
            count(Severity::Fault, "fault"),
            count(Severity::Warning, "warning"),
            count(Severity::Note, "note"),
            count(Severity::Good, "thing")
        ));
        lines.join("\n")
    }

    /// Returns a row for each client and address, whatever images are led there.
    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows: Vec<[String; 4]> = Vec::new();
        for way in &self.ways {
            let after = match way.on_error {
                OnError::GoesAround => "asks the registry",
                OnError::Fails => "fails",
            };
            let (client, url) = (way.client.name().to_owned(), way.url());
            let same = rows
                .iter_mut()
                .find(|row| (&row[0], &row[1], row[2].as_str()) == (&client, &url, after));
            let scope = way.scope.shown();
            match same {
                Some(row) => row[3] += &format!(", {scope}"),
                None => rows.push([client, url, after.to_owned(), scope]),
            }
        }
        rows.into_iter().map(Vec::from).collect()
    }
}

/// Says one thing. Some of the words are those of files and of whoever answered.
fn told(finding: &Finding) -> Vec<String> {
    let place = match &finding.spot {
        Some(spot) => match spot.line {
            Some(line) => format!("{}:{line}: ", spot.file.display()),
            None => format!("{}: ", spot.file.display()),
        },
        None => String::new(),
    };
    let said = format!(
        "{}: {}: {place}{}",
        finding.severity.name(),
        finding.about.name(),
        finding.message
    );
    let remedy = finding
        .remedy
        .iter()
        .map(|remedy| format!("  remedy: {remedy}"));
    let lines = [said].into_iter().chain(remedy);
    lines.map(|line| printable::line(&line)).collect()
}
