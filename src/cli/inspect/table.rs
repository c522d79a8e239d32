//! A report for people to read.

use std::collections::BTreeMap;

use bytesize::ByteSize;

use super::report::{Config, Image, Report};
use crate::cli::columns::columns;
use crate::cli::printable::short;
use crate::oci::MediaType;

/// What stands where nothing is known.
const UNSAID: &str = "-";

/// Writes a report as lines of text.
pub(super) fn table(report: &Report) -> String {
    let mut lines = Lines::default();
    let login = match &report.login {
        Some(login) => format!("logged in as: {login}"),
        None => "anonymous".to_owned(),
    };
    lines.fact("registry", &report.registry);
    lines.fact("repository", &report.repository);
    lines.fact("login", &login);
    lines.maybe("tag", report.tag.as_ref());
    lines.fact("digest", report.digest);
    lines.fact("media type", &report.media_type);
    lines.fact("size", size(report.size_bytes));
    lines.entries("annotations", &report.annotations);
    if let Some(image) = &report.image {
        let is_of_index = image.digest != report.digest;
        if is_of_index {
            lines.listed(report);
            lines.heading(&heading(report, image));
            lines.fact("digest", image.digest);
            lines.fact("media type", &image.media_type);
            lines.fact("size", size(image.size_bytes));
            lines.entries("annotations", &image.annotations);
        }
        lines.image(image);
    } else {
        lines.listed(report);
    }
    lines.referrers(report);
    lines.0.join("\n")
}

/// Names the image of an index that is described.
fn heading(report: &Report, image: &Image) -> String {
    let listed = &report.platforms;
    let found = listed.iter().find(|listed| listed.digest == image.digest);
    let platform = found.and_then(|listed| listed.platform());
    format!(
        "image for {}",
        platform.as_deref().unwrap_or("any platform")
    )
}

fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

fn kind(media_type: Option<&MediaType>) -> String {
    media_type.map_or_else(|| UNSAID.to_owned(), ToString::to_string)
}

/// The lines so far. Whatever comes in is made safe for a terminal.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    /// Adds a fact with its name.
    fn fact(&mut self, name: &str, value: impl ToString) {
        let value = short(&value.to_string());
        self.0.push(format!("{name:14} {value}"));
    }

    fn maybe(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.fact(name, value);
        }
    }

    /// Begins a part.
    fn heading(&mut self, text: &str) {
        self.0.push(String::new());
        self.0.push(short(text));
    }

    /// Adds names and texts, if there are any.
    fn entries(&mut self, heading: &str, entries: &BTreeMap<String, String>) {
        let rows = entries
            .iter()
            .map(|(name, text)| vec![name.clone(), text.clone()]);
        self.columns(heading, &[], rows.collect());
    }

    /// Adds lines of one text each, if there are any.
    fn texts(&mut self, heading: &str, texts: &[String]) {
        self.columns(
            heading,
            &[],
            texts.iter().map(|text| vec![text.clone()]).collect(),
        );
    }

    /// Adds rows with aligned columns below a title, if there are any.
    fn columns(&mut self, title: &str, heads: &[&str], rows: Vec<Vec<String>>) {
        if rows.is_empty() {
            return;
        }
        self.0.push(title.to_owned());
        let rows = columns(heads, rows).into_iter();
        self.0.extend(rows.map(|row| format!("  {row}")));
    }

    /// Adds what an index lists.
    fn listed(&mut self, report: &Report) {
        let rows = report.platforms.iter().map(|listed| {
            vec![
                listed.platform().unwrap_or_else(|| UNSAID.to_owned()),
                size(listed.size_bytes),
                listed.digest.to_string(),
            ]
        });
        let heads = ["PLATFORM", "SIZE", "DIGEST"];
        self.columns("platforms", &heads, rows.collect());
    }

    /// Adds what an image is made of.
    fn image(&mut self, image: &Image) {
        self.maybe("artifact type", image.artifact_type.as_ref());
        if let Some(kind) = &image.config_media_type {
            self.fact("config type", kind);
        }
        if let Some(config) = &image.config {
            self.config(config);
        }
        let rows = image.layers.iter().map(|layer| {
            vec![
                size(layer.size_bytes),
                layer.digest.to_string(),
                kind(layer.media_type.as_ref()),
            ]
        });
        let heads = ["SIZE", "DIGEST", "MEDIA TYPE"];
        self.columns("layers", &heads, rows.collect());
        let count = image.layers.len();
        let plural = if count == 1 { "" } else { "s" };
        let total = format!("{} in {count} layer{plural}", size(image.layers_size_bytes));
        self.fact("total", total);
    }

    /// Adds how an image is run.
    fn config(&mut self, config: &Config) {
        self.maybe("platform", config.platform().as_ref());
        self.maybe("created", config.created.as_ref());
        self.maybe("author", config.author.as_ref());
        self.maybe("user", config.user.as_ref());
        for (name, command) in [("entrypoint", &config.entrypoint), ("cmd", &config.cmd)] {
            if !command.is_empty() {
                self.fact(name, format!("{command:?}"));
            }
        }
        self.maybe("working dir", config.working_dir.as_ref());
        if !config.exposed_ports.is_empty() {
            self.fact("exposed ports", config.exposed_ports.join(", "));
        }
        match config.history_length {
            0 => {}
            1 => self.fact("history", "1 step"),
            steps => self.fact("history", format!("{steps} steps")),
        }
        self.texts("env", &config.env);
        self.entries("labels", &config.labels);
    }

    /// Adds what refers to the manifest.
    fn referrers(&mut self, report: &Report) {
        self.0.push(String::new());
        match report.referrers.as_deref() {
            None => self.fact("referrers", "could not be asked for"),
            Some([]) => self.fact("referrers", "none"),
            Some(referrers) => {
                let rows = referrers.iter().map(|referrer| {
                    let own = referrer.artifact_type.as_ref();
                    vec![
                        kind(own.or(referrer.media_type.as_ref())),
                        size(referrer.size_bytes),
                        referrer.digest.to_string(),
                    ]
                });
                let heads = ["ARTIFACT TYPE", "SIZE", "DIGEST"];
                self.columns("referrers", &heads, rows.collect());
            }
        }
    }
}
