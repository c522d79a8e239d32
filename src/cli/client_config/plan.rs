//! What is to be written, whoever the client is: which registries are pulled through larder, and how it is reached.

use std::collections::HashMap;
use std::path::Path;

use super::arguments::{ClientConfigArguments, Way};
use super::certificates::Certificates;
use super::file::{ClientFile, Note, Syntax};
use super::larder_url::{LarderUrl, Scheme};
use super::refused::Refused;
use crate::addressing::{self, Addressing, Asked, Target};
use crate::oci::{RepositoryName, UpstreamName, UpstreamPattern};

/// What a client is to do.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Where it reaches larder.
    pub(super) larder: LarderUrl,
    /// What it does after an error of larder.
    pub(super) way: Way,
    /// The registries that it pulls through larder, by their names in full.
    pub(super) upstreams: Vec<UpstreamName>,
    /// Whether it should do so for all other registries as well.
    pub(super) coverage: Coverage,
    /// By what it trusts larder, beside what it trusts anyway.
    pub(super) certificates: Option<Certificates>,
    /// Where a name leads that says no registry.
    bare_names: Option<UpstreamName>,
    /// First parts of names that mean a registry, besides its name.
    aliases: HashMap<UpstreamName, String>,
}

/// A registry, and what stands for it in front of the names of its images.
#[derive(Clone, Copy, Debug)]
pub(super) struct InPath<'a> {
    /// The registry.
    pub(super) name: &'a UpstreamName,
    /// The first part of names: its own name, or an alias.
    pub(super) segment: &'a str,
}

/// Which registries are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// Those that were named.
    Chosen,
    /// Every one that larder can reach, among them those of these names with `*`.
    All(Vec<UpstreamPattern>),
}

impl Plan {
    /// Makes a plan of what was asked for and of what is configured.
    pub(super) fn new(
        arguments: &ClientConfigArguments,
        settings: &addressing::Settings,
        folder: &Path,
    ) -> Result<Self, Refused> {
        let larder = arguments.url.clone();
        let addressing = Addressing::new(settings);
        let (upstreams, coverage) = if arguments.upstreams.is_empty() {
            all(addressing.patterns())
        } else {
            (chosen(&arguments.upstreams), Coverage::Chosen)
        };
        for name in &upstreams {
            let is_configured = |pattern: &UpstreamPattern| pattern.matches(name);
            if !addressing.patterns().iter().any(is_configured) {
                return Err(Refused::NotConfigured(name.clone()));
            }
        }
        let leads_to = |name: &str| leads_to(&addressing, &larder, name);
        for wanted in &upstreams {
            if leads_to(&format!("{wanted}/a/b")).as_ref() != Some(wanted) {
                return Err(Refused::VirtualHost {
                    authority: larder.authority().to_owned(),
                    found: leads_to("a/b"),
                    wanted: wanted.clone(),
                });
            }
        }
        let certificates = match (&arguments.ca_file, larder.scheme()) {
            (None, _) => None,
            (Some(_), Scheme::Http) => return Err(Refused::NotEncrypted),
            (Some(path), Scheme::Https) => Some(Certificates::read(&folder.join(path))?),
        };
        let bare_names = leads_to("library/alpine");
        Ok(Self {
            larder,
            way: arguments.mode,
            upstreams,
            coverage,
            certificates,
            bare_names,
            aliases: aliases(settings),
        })
    }

    /// Checks that there is a registry that is known by its name, for a client that needs names.
    pub(super) fn needs_names(&self, client: &'static str) -> Result<(), Refused> {
        match self.upstreams.is_empty() {
            true => Err(Refused::NoNames { client }),
            false => Ok(()),
        }
    }

    /// Returns the registries for a client that puts them into the names of images behind larder. The name of an image
    /// cannot have a port in the middle, so a registry with one needs an alias.
    pub(super) fn in_paths(&self, client: &'static str) -> Result<Vec<InPath<'_>>, Refused> {
        self.needs_names(client)?;
        let in_path = |name| {
            let segment = self.segment(name)?;
            Some(InPath { name, segment })
        };
        let found: Vec<InPath<'_>> = self.upstreams.iter().filter_map(in_path).collect();
        match self.upstreams.first() {
            Some(first) if found.is_empty() => Err(Refused::NoAlias {
                client,
                name: first.clone(),
            }),
            Some(_) | None => Ok(found),
        }
    }

    fn segment<'a>(&'a self, name: &'a UpstreamName) -> Option<&'a str> {
        let is_segment = name.as_str().parse::<RepositoryName>().is_ok();
        is_segment
            .then(|| name.as_str())
            .or_else(|| self.aliases.get(name).map(String::as_str))
    }

    /// Refuses to keep a client from going around larder that does so after every error.
    pub(super) fn cannot_be_strict(&self, client: &'static str) -> Result<(), Refused> {
        match self.way {
            Way::Fallback => Ok(()),
            Way::Strict => Err(Refused::NotStrict {
                client,
                authority: self.larder.authority().to_owned(),
            }),
        }
    }

    /// Checks that a client finds Docker Hub that has no mirrors of other registries, and does not say what it means.
    pub(super) fn mirrors_docker_hub(&self, client: &'static str) -> Result<(), Refused> {
        if !self.upstreams.iter().any(UpstreamName::is_docker_hub) {
            return Err(Refused::HubNotChosen { client });
        }
        match &self.bare_names {
            Some(found) if found.is_docker_hub() => Ok(()),
            found => Err(Refused::HubNotDefault {
                client,
                found: found.clone(),
            }),
        }
    }

    /// Says what the mode means.
    pub(super) fn way_note(&self) -> Note {
        let larder = self.larder.text();
        Note::prose(match self.way {
            Way::Fallback => format!(
                "Fallback: {larder} is asked first. After any error there (also 403, 404, 429 and when nobody answers) the \
                 client goes around it to the registry itself: that pull is not in larder's cache, and is one of this \
                 machine's own pulls where the registry counts them."
            ),
            Way::Strict => format!(
                "Strict: these registries are reached through {larder} alone. Pulls fail while it is down or refuses them."
            ),
        })
    }

    /// Says which families of registries a client is not told of that needs names in full.
    pub(super) fn families_note(&self) -> Option<Note> {
        let families = match &self.coverage {
            Coverage::All(families) => families,
            Coverage::Chosen => return None,
        };
        let families: Vec<String> = families.iter().map(ToString::to_string).collect();
        (!families.is_empty()).then(|| {
            Note::prose(format!(
                "Left out, since this client needs names in full: {}. Name those that are used with --upstream.",
                families.join(", ")
            ))
        })
    }

    /// Says which registries a client is not told of that puts them into the names of images.
    pub(super) fn ports_note(&self) -> Option<Note> {
        let without = |name: &&UpstreamName| self.segment(name).is_none();
        let names = self.upstreams.iter().filter(without);
        let names: Vec<&str> = names.map(UpstreamName::as_str).collect();
        (!names.is_empty()).then(|| {
            Note::prose(format!(
                "Left out, since for this client the registry stands in the name of the image, where no port can be: {}. Give \
                 it another name there with aliases in its [[upstream]].",
                names.join(", ")
            ))
        })
    }

    /// Warns that an address of the client's own machine means another one where it runs.
    pub(super) fn loopback_note(&self, place: &str) -> Option<Note> {
        let authority = self.larder.authority();
        self.larder.is_loopback().then(|| {
            Note::prose(format!(
                "WARNING: {authority} is {place} itself there. Give --url an address under which it reaches larder."
            ))
        })
    }

    /// Returns the certificates as a file of the client.
    pub(super) fn certificates_file(&self, path: String) -> Option<ClientFile> {
        let certificates = self.certificates.as_ref()?;
        Some(ClientFile {
            path,
            syntax: Syntax::Bare,
            notes: vec![Note::prose(
                "The certificates by which the client trusts larder.",
            )],
            body: certificates.pem().to_owned(),
        })
    }
}

/// Returns the names and the patterns that are configured.
fn all(patterns: &[UpstreamPattern]) -> (Vec<UpstreamName>, Coverage) {
    let (mut names, mut families) = (Vec::new(), Vec::new());
    for pattern in patterns {
        match pattern {
            UpstreamPattern::Exactly(name) => names.push(name.clone()),
            UpstreamPattern::Labels(_) => families.push(pattern.clone()),
        }
    }
    (names, Coverage::All(families))
}

/// Returns an alias of each registry that has one.
fn aliases(settings: &addressing::Settings) -> HashMap<UpstreamName, String> {
    let aliases = settings
        .upstreams
        .iter()
        .filter_map(|rule| match &rule.pattern {
            UpstreamPattern::Exactly(name) => {
                let alias = rule.aliases.first()?;
                Some((name.clone(), alias.as_str().to_owned()))
            }
            UpstreamPattern::Labels(_) => None,
        });
    aliases.collect()
}

/// Returns each of the names once.
fn chosen(names: &[UpstreamName]) -> Vec<UpstreamName> {
    let mut chosen: Vec<UpstreamName> = Vec::new();
    for name in names {
        if !chosen.contains(name) {
            chosen.push(name.clone());
        }
    }
    chosen
}

/// Returns to which registry a name leads at this address.
fn leads_to(addressing: &Addressing, larder: &LarderUrl, name: &str) -> Option<UpstreamName> {
    let asked = Asked {
        host: Some(larder.authority()),
        name,
        ..Asked::default()
    };
    match addressing.resolve(asked) {
        Ok(Target::Proxied(origin)) => Some(origin.upstream),
        Ok(Target::Hosted(_)) | Err(_) => None,
    }
}
