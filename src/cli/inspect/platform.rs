//! Which image of an index is meant: the one that is asked for, else the one for this machine.

use std::env::consts;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::oci::{Descriptor, Platform};

/// A platform as people write it: `os/architecture[/variant]`, in Go's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct PlatformName {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// Why a text names no platform.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("write it as os/architecture or os/architecture/variant, as in linux/arm/v7")]
pub(in crate::cli) struct PlatformNameError;

impl FromStr for PlatformName {
    type Err = PlatformNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<String> = text.split('/').map(str::to_ascii_lowercase).collect();
        let is_name = |part: &String| {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            !part.is_empty() && part.bytes().all(is_plain)
        };
        match parts.as_slice() {
            [os, architecture, variant @ ..] if variant.len() < 2 && parts.iter().all(is_name) => {
                Ok(Self {
                    os: os.clone(),
                    architecture: go_name(architecture).to_owned(),
                    variant: variant.first().cloned(),
                })
            }
            _ => Err(PlatformNameError),
        }
    }
}

impl fmt::Display for PlatformName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl PlatformName {
    /// Returns what containers on this machine run on: Linux, unless this is Windows.
    fn of_this_machine() -> Self {
        let os = if consts::OS == "windows" {
            "windows"
        } else {
            "linux"
        };
        Self {
            os: os.to_owned(),
            architecture: go_name(consts::ARCH).to_owned(),
            variant: None,
        }
    }

    fn usual() -> Self {
        Self {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            variant: None,
        }
    }

    /// Tells whether an image for a platform is what is meant.
    pub(super) fn fits(&self, platform: &Platform) -> bool {
        let wanted = self.variant.as_deref();
        self.os == platform.os
            && self.architecture == platform.architecture
            && (wanted.is_none()
                || self.variant_of(wanted) == self.variant_of(platform.variant.as_deref()))
    }

    /// Returns a variant; the one that goes without saying may be left out.
    fn variant_of<'a>(&self, variant: Option<&'a str>) -> Option<&'a str> {
        variant.filter(|variant| !(self.architecture == "arm64" && *variant == "v8"))
    }
}

/// Returns Go's name of a processor that is called by another one.
fn go_name(architecture: &str) -> &str {
    match architecture {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "x86" | "i386" | "i686" => "386",
        "armhf" => "arm",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// Finds the image of an index that is wanted; without a wish the one for this machine, else for linux/amd64, else the
/// first, but rather one for a machine at all. `None` when nothing fits.
pub(super) fn choose<'a>(
    images: &'a [Descriptor],
    wanted: Option<&PlatformName>,
) -> Option<&'a Descriptor> {
    let fitting = |name: &PlatformName| {
        let fits = |image: &&Descriptor| image.platform.as_ref().is_some_and(|it| name.fits(it));
        images.iter().find(fits)
    };
    if let Some(wanted) = wanted {
        return fitting(wanted);
    }
    // What is built beside images, such as provenance, is listed for a platform that does not exist.
    let is_for_a_machine = |image: &&Descriptor| {
        image
            .platform
            .as_ref()
            .is_none_or(|platform| platform.os != "unknown")
    };
    fitting(&PlatformName::of_this_machine())
        .or_else(|| fitting(&PlatformName::usual()))
        .or_else(|| images.iter().find(is_for_a_machine))
        .or_else(|| images.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> Vec<Descriptor> {
        let child = |(index, name): (usize, &&str)| {
            let mut parts = name.split('/').map(ToOwned::to_owned);
            let platform = Platform {
                os: parts.next().unwrap(),
                architecture: parts.next().unwrap_or_default(),
                variant: parts.next(),
            };
            Descriptor {
                media_type: None,
                digest: crate::oci::Digest::Sha256([0; 32]),
                size: index as u64,
                platform: (!name.is_empty()).then_some(platform),
            }
        };
        platforms.iter().enumerate().map(child).collect()
    }

    #[test]
    fn platforms_as_people_write_them() {
        for (text, name) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/x86_64", Some("linux/amd64")),
            ("Linux/aarch64", Some("linux/arm64")),
            ("linux/arm/v7", Some("linux/arm/v7")),
            ("linux", None),
            ("linux/", None),
            ("linux/arm/v7/x", None),
            ("linux/a b", None),
            ("", None),
        ] {
            let parsed = text.parse::<PlatformName>().ok();
            assert_eq!(
                parsed.map(|name| name.to_string()).as_deref(),
                name,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_wanted_is_found() {
        let images = index(&[
            "",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/arm64/v8",
            "linux/amd64",
        ]);
        for (wanted, found) in [
            ("linux/arm", Some(1)),
            ("linux/arm/v7", Some(2)),
            ("linux/arm64", Some(3)),
            ("linux/arm64/v8", Some(3)),
            ("linux/arm64/v9", None),
            ("linux/amd64", Some(4)),
            ("linux/amd64/v3", None),
            ("windows/amd64", None),
        ] {
            let wanted: PlatformName = wanted.parse().unwrap();
            let chosen = choose(&images, Some(&wanted));
            assert_eq!(chosen.map(|image| image.size), found, "{wanted}");
        }
    }

    #[test]
    fn without_a_wish_this_machine_counts_first() {
        let own = PlatformName::of_this_machine().to_string();
        for (images, found) in [
            (
                &["plan9/mips", "linux/amd64", &own][..],
                if own == "linux/amd64" { 1 } else { 2 },
            ),
            (&["plan9/mips", "linux/amd64"], 1),
            (&["unknown/unknown", "plan9/mips"], 1),
            (&["unknown/unknown", ""], 1),
            (&["unknown/unknown"], 0),
        ] {
            assert_eq!(
                choose(&index(images), None).unwrap().size,
                found,
                "{images:?}"
            );
        }
        assert_eq!(choose(&[], None), None);
    }
}
