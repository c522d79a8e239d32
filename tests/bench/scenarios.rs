//! What is measured. Each scenario has an image of its own, so that it begins with a target that knows nothing of it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::client::{Body, Verdict, ask, crowd};
use super::content::{Content, Image};
use super::targets::{FRESHNESS, Running};
use super::upstream::Upstream;

/// What the upstream sends at most in cold scenarios, in bytes per second.
const PACE: u64 = 250_000_000;

/// What is measured, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scenario {
    /// Warm manifest by tag, 16 connections that are kept alive
    Manifest,
    /// Warm blob, 4 connections at once
    Blob,
    /// Cold blob, from an upstream that sends 250 MB/s
    Cold,
    /// Cold blob that 50 clients want at once, from the same upstream
    Herd,
    /// Requests to the upstream for an image of one platform with four layers
    Pull,
    /// Blob of which the upstream sends a wrong byte
    Flip,
    /// Tag in the cache, upstream gone
    Outage,
    /// The most memory until now
    Memory,
}

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) manifest_time: Duration,
    pub(crate) blob_rounds: usize,
    pub(crate) blob: u64,
    pub(crate) cold: u64,
    pub(crate) herd: u64,
}

/// Rows of the table, with what one target has in them.
pub(crate) type Rows = Vec<(String, String)>;

impl Scenario {
    /// Returns whether a target that serves files, and pulls nothing, has a part in it.
    pub(crate) fn is_warm(self) -> bool {
        matches!(self, Self::Manifest | Self::Blob | Self::Memory)
    }

    /// Returns the image that it is about.
    pub(crate) fn image(self, sizes: &Sizes) -> Image {
        match self {
            Self::Manifest => Image::new("bench/manifest", &[1000]),
            Self::Blob => Image::new("bench/blob", &[sizes.blob]),
            Self::Cold => Image::new("bench/cold", &[sizes.cold]),
            Self::Herd => Image::new("bench/herd", &[sizes.herd]),
            Self::Pull => Image::new("bench/pull", &[2_000_000; 4]),
            Self::Flip => Image::new("bench/flip", &[20_000_000]),
            Self::Outage => Image::new("bench/outage", &[1000]),
            Self::Memory => Image::new("bench/memory", &[]),
        }
    }

    /// Measures a target.
    pub(crate) fn run(
        self,
        image: &Image,
        running: &Running,
        upstream: &mut Upstream,
        sizes: &Sizes,
    ) -> Result<Rows> {
        let place = Place { image, running };
        place.settle(upstream)?;
        upstream.take_counts();
        upstream.pace(matches!(self, Self::Cold | Self::Herd).then_some(PACE));
        let rows = match self {
            Self::Manifest => place.manifest(sizes),
            Self::Blob => place.blob(sizes),
            Self::Cold => place.cold(upstream),
            Self::Herd => place.herd(upstream),
            Self::Pull => place.pull(upstream),
            Self::Flip => place.flip(upstream),
            Self::Outage => place.outage(upstream),
            Self::Memory => {
                let peak = running.process.peak_memory()? as f64 / 1e6;
                Ok(vec![row(
                    "most memory of all this",
                    format!("{peak:.0} MB"),
                )])
            }
        };
        upstream.pace(None);
        rows
    }
}

/// A target, and the image that it is asked for.
struct Place<'a> {
    image: &'a Image,
    running: &'a Running,
}

impl Place<'_> {
    fn manifest(&self, sizes: &Sizes) -> Result<Rows> {
        let (path, index) = self.image.tag();
        self.get(&path, index, Body::Checked).whole()?;
        let (start, cpu) = (Instant::now(), self.running.process.cpu()?);
        let is_enough = |_| start.elapsed() >= sizes.manifest_time;
        let mut took = crowd(16, self.running.port, (&path, index), is_enough)?;
        let (time, cpu) = (start.elapsed(), self.running.process.cpu()? - cpu);
        took.sort_unstable();
        let count = took.len() as f64;
        let [median, late] = [50, 99].map(|percent| ms(took[(took.len() - 1) * percent / 100]));
        let what = "warm manifest by tag, 16 connections";
        Ok(vec![
            row(
                what,
                format!("{:.0} requests/s", count / time.as_secs_f64()),
            ),
            row(
                "— processor time",
                format!("{:.0} µs each", cpu.as_secs_f64() * 1e6 / count),
            ),
            row("— p50, p99", format!("{median:.2} ms, {late:.2} ms")),
        ])
    }

    fn blob(&self, sizes: &Sizes) -> Result<Rows> {
        let (path, layer) = self.image.layer();
        self.get(&path, layer, Body::Checked).whole()?;
        // A target may still be busy keeping it.
        self.running.process.settle(|| true)?;
        let (start, cpu) = (Instant::now(), self.running.process.cpu()?);
        let took = crowd(4, self.running.port, (&path, layer), |done| {
            done >= sizes.blob_rounds
        })?;
        let (time, cpu) = (start.elapsed(), self.running.process.cpu()? - cpu);
        let megabytes = took.len() as f64 * layer.size as f64 / 1e6;
        let what = format!("warm blob of {}, 4 connections", size(layer));
        Ok(vec![
            row(&what, format!("{:.0} MB/s", megabytes / time.as_secs_f64())),
            row(
                "— processor time per GB",
                format!("{:.0} ms", ms(cpu) * 1e3 / megabytes),
            ),
        ])
    }

    fn cold(&self, upstream: &Upstream) -> Result<Rows> {
        let (path, layer) = self.image.layer();
        let straight = ask(upstream.port(), &path, layer, Body::Checked).whole()?;
        upstream.take_counts();
        let through = self.get(&path, layer, Body::Checked).whole()?;
        self.settle(upstream)?;
        let ratio = through.total.as_secs_f64() / straight.total.as_secs_f64();
        let sent = upstream.take_counts().blob_bytes as f64 / layer.size as f64;
        let what = format!(
            "cold blob of {}, upstream at {} MB/s",
            size(layer),
            PACE / 1_000_000
        );
        Ok(vec![
            row(&what, format!("{:.2} s", through.total.as_secs_f64())),
            row("— straight from the upstream = 1", format!("{ratio:.2}")),
            row(
                "— first byte after",
                format!("{:.1} ms", ms(through.first_byte)),
            ),
            row("— sent by the upstream, blob = 1", format!("{sent:.2}")),
        ])
    }

    fn herd(&self, upstream: &Upstream) -> Result<Rows> {
        let (path, layer) = self.image.layer();
        let took = crowd(50, self.running.port, (&path, layer), |done| done == 1)?;
        let last = took.iter().max().copied().unwrap_or_default();
        self.settle(upstream)?;
        let counts = upstream.take_counts();
        let sent = counts.blob_bytes as f64 / layer.size as f64;
        let what = format!("50 clients at once, cold blob of {}", size(layer));
        Ok(vec![
            row(&what, format!("{:.2} s", last.as_secs_f64())),
            row("— sent by the upstream, blob = 1", format!("{sent:.2}")),
            row("— requests to the upstream", counts.requests.to_string()),
        ])
    }

    fn pull(&self, upstream: &Upstream) -> Result<Rows> {
        let mut rows = Rows::new();
        for what in [
            "requests to the upstream, cold pull",
            "— again at once",
            "— again when the tag is old",
        ] {
            if what.ends_with("old") {
                grow_old();
            }
            for (path, content) in self.image.pull() {
                self.get(&path, content, Body::Checked).whole()?;
            }
            self.settle(upstream)?;
            rows.push(row(what, upstream.take_counts().requests.to_string()));
        }
        Ok(rows)
    }

    fn flip(&self, upstream: &Upstream) -> Result<Rows> {
        let (path, layer) = self.image.layer();
        let outcome = |verdict| match verdict {
            Verdict::Whole => "right".to_owned(),
            Verdict::Wrong => "**wrong bytes, no error**".to_owned(),
            Verdict::Failed(_) => "an error".to_owned(),
        };
        upstream.flip(Some(layer.digest));
        let first = outcome(self.get(&path, layer, Body::Checked).verdict);
        self.settle(upstream)?;
        upstream.flip(None);
        let second = outcome(self.get(&path, layer, Body::Checked).verdict);
        Ok(vec![
            row("wrong byte from the upstream: the client gets", first),
            row("— when the upstream is right again", second),
        ])
    }

    fn outage(&self, upstream: &mut Upstream) -> Result<Rows> {
        let (path, index) = self.image.tag();
        self.get(&path, index, Body::Checked).whole()?;
        self.settle(upstream)?;
        grow_old();
        upstream.stop();
        let answer = self.get(&path, index, Body::Checked);
        let again = self.get(&path, index, Body::Checked);
        upstream.restart()?;
        let outcome = match answer.verdict {
            Verdict::Whole => format!(
                "yes, after {:.1} ms; again {:.1} ms",
                ms(answer.total),
                ms(again.whole()?.total)
            ),
            Verdict::Wrong => bail!("wrong bytes"),
            Verdict::Failed(error) => format!("no: {error}"),
        };
        Ok(vec![row("upstream gone: tag from the cache", outcome)])
    }

    fn get(&self, path: &str, content: &Content, body: Body) -> super::client::Answer {
        ask(self.running.port, path, content, body)
    }

    fn settle(&self, upstream: &Upstream) -> Result<()> {
        self.running.process.settle(|| !upstream.is_answering())
    }
}

/// Waits until tags that were asked for are no longer fresh.
fn grow_old() {
    thread::sleep(Duration::from_secs(FRESHNESS) * 3 / 2);
}

fn row(what: &str, outcome: String) -> (String, String) {
    (what.to_owned(), outcome)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn size(content: &Content) -> String {
    format!("{} MB", content.size / 1_000_000)
}
