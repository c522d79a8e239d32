//! What was found: how bad it is, what it is about, where it is written, and what to do.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// How bad something is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    /// It keeps pulls from working, or from going through larder.
    Fault,
    /// It works, and is likely to surprise.
    Warning,
    /// It should be known.
    Note,
    /// It was looked at, and is as it should be.
    Good,
}

impl Severity {
    /// Returns its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Warning => "warning",
            Self::Note => "note",
            Self::Good => "good",
        }
    }
}

/// What something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Subject {
    /// The docker daemon.
    Docker,
    /// containerd, and what reads its files.
    Containerd,
    /// podman, CRI-O, skopeo and buildah.
    Podman,
    /// buildkitd.
    Buildkit,
    /// k3s.
    K3s,
    /// RKE2.
    Rke2,
    /// All clients together.
    Clients,
    /// An address where larder should be.
    Address,
    /// The certificate that is shown there.
    Certificate,
    /// The clock there.
    Clock,
    /// Where a registry leads there.
    Registry,
    /// The pull of an image.
    Canary,
    /// Who can see what.
    Sight,
    /// larder's configuration.
    Configuration,
    /// The disk of the cache.
    Disk,
    /// The registries behind larder.
    Upstream,
}

impl Subject {
    /// Returns its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Podman => "podman",
            Self::Buildkit => "buildkit",
            Self::K3s => "k3s",
            Self::Rke2 => "rke2",
            Self::Clients => "clients",
            Self::Address => "address",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Registry => "registry",
            Self::Canary => "canary",
            Self::Sight => "sight",
            Self::Configuration => "configuration",
            Self::Disk => "disk",
            Self::Upstream => "upstream",
        }
    }
}

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// In which file.
    pub(super) file: PathBuf,
    /// In which line, from 1, where that is known.
    pub(super) line: Option<usize>,
}

impl Spot {
    /// Makes a spot of a whole file.
    pub(super) fn file(file: &Path) -> Self {
        Self::line(file, None)
    }

    /// Makes a spot of a line.
    pub(super) fn line(file: &Path, line: Option<usize>) -> Self {
        Self {
            file: file.to_owned(),
            line,
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// How bad it is.
    pub(super) severity: Severity,
    /// What it is about.
    pub(super) about: Subject,
    /// Where it is written.
    pub(super) spot: Option<Spot>,
    /// What is so.
    pub(super) message: String,
    /// What to do.
    pub(super) remedy: Option<String>,
}

impl Finding {
    /// Makes a finding without a place and a remedy.
    pub(super) fn new(severity: Severity, about: Subject, message: impl Into<String>) -> Self {
        Self {
            severity,
            about,
            spot: None,
            message: message.into(),
            remedy: None,
        }
    }

    /// Something that is wrong, and what to do.
    pub(super) fn fault(
        about: Subject,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        let finding = Self::new(Severity::Fault, about, message);
        Self { remedy, ..finding }
    }

    /// Something that may surprise, and what to do.
    pub(super) fn warning(
        about: Subject,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        let finding = Self::new(Severity::Warning, about, message);
        Self { remedy, ..finding }
    }

    /// Something that should be known.
    pub(super) fn note(about: Subject, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, about, message)
    }

    /// Something that is as it should be.
    pub(super) fn good(about: Subject, message: impl Into<String>) -> Self {
        Self::new(Severity::Good, about, message)
    }

    /// Says where it is written.
    pub(super) fn at(mut self, spot: &Spot) -> Self {
        self.spot = Some(spot.clone());
        self
    }

    /// Says what to do.
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
