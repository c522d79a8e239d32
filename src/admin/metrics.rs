//! Figures that are looked up when somebody asks for them. Looking asks the operating system, and so may block for a moment.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::cache::Cache;
use crate::retention::{self, Room};
use crate::runtime::process::{self, Usage};
use crate::runtime::{Live, Tasks, Timestamp};
use crate::store::disk::{DiskStore, Figures};

/// How larder stands at this moment.
#[derive(Debug)]
pub struct Gauges {
    /// The cache.
    pub cache: Arc<Cache>,
    /// What is kept.
    pub store: DiskStore,
    /// What was used when, and how much there is.
    pub usage: Arc<retention::Usage>,
    /// How much is kept.
    pub retention: Live<retention::Settings>,
    /// All tasks.
    pub tasks: Tasks,
    /// When the process began.
    pub began: Timestamp,
}

/// What is said of this process, by the names that all programs use for it.
#[derive(Debug)]
struct Process {
    began: Timestamp,
}

impl Gauges {
    /// Registers the figures, those of the process without larder's name in front, and which version this is.
    pub fn register(self, registry: &mut Registry) {
        let process = Process { began: self.began };
        registry.register_collector(Box::new(process));
        let own = registry.sub_registry_with_prefix("larder");
        let build = Info::new(vec![
            ("version", env!("CARGO_PKG_VERSION")),
            ("os", std::env::consts::OS),
            ("architecture", std::env::consts::ARCH),
        ]);
        own.register("build", "Which larder this is", build);
        own.register_collector(Box::new(self));
    }
}

impl Gauges {
    /// Writes how large the store is.
    fn encode_store(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Figures {
            space,
            floor_bytes,
            cache_records_bytes,
            usage_records_bytes,
            hosted_records_bytes,
        } = self.store.figures();
        let kept = self.usage.kept();
        let usual = || space.map(|space| Room::usual(space.total));
        for (name, help, value) in [
            (
                "store_blobs",
                "Blobs that are kept, once they were counted",
                kept.map(|kept| kept.blobs),
            ),
            (
                "store_blobs_bytes",
                "Bytes that all blobs have together, once they were counted",
                kept.map(|kept| kept.bytes),
            ),
            (
                "store_max_bytes",
                "Bytes that all blobs may have; beyond, those are removed that were used least lately",
                self.retention.now().max_size.or_else(usual),
            ),
            (
                "store_free_bytes",
                "Free space of the file system that has the cache folder",
                space.map(|space| space.free),
            ),
            (
                "store_total_bytes",
                "Size of the file system that has the cache folder",
                space.map(|space| space.total),
            ),
            (
                "store_min_free_bytes",
                "Free space below which room is made, and blobs that still do not fit are handed through and not kept",
                Some(floor_bytes),
            ),
        ] {
            gauge(encoder, name, help, value)?;
        }
        let files = [
            ("cache", cache_records_bytes),
            ("usage", usage_records_bytes),
            ("hosted", hosted_records_bytes),
        ];
        let files = files
            .into_iter()
            .filter_map(|(file, bytes)| Some((file, bytes?)));
        gauges(
            encoder,
            "store_records_bytes",
            "Size of the files of records",
            "file",
            files,
        )
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        gauge(
            &mut encoder,
            "fills_running",
            "Blobs that are being fetched",
            Some(self.cache.blobs.fills() as u64),
        )?;
        self.encode_store(&mut encoder)?;
        let tasks = self.tasks.by_name().into_iter();
        gauges(
            &mut encoder,
            "tasks",
            "Tasks that are running, by their names in the code",
            "name",
            tasks.map(|(name, count)| (name, count as u64)),
        )
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Usage {
            resident_bytes,
            processor,
            open_files,
            open_files_limit,
        } = process::usage();
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Memory of the process that is resident; on Linux",
                resident_bytes,
            ),
            (
                "process_open_fds",
                "Files and sockets that the process has open; on Linux",
                open_files,
            ),
            (
                "process_max_fds",
                "How many files and sockets the process can have open",
                // Any number can be written, but none that is missing: alerts divide by it.
                Some(open_files_limit.unwrap_or(u64::MAX)),
            ),
            (
                "process_start_time_seconds",
                "When the process began, in seconds since 1970",
                Some(self.began.as_millis() / 1000),
            ),
        ] {
            gauge(&mut encoder, name, help, value)?;
        }
        let spent = ConstCounter::new(processor.as_secs_f64());
        let metric = encoder.encode_descriptor(
            "process_cpu_seconds",
            "Time that the process has spent on processors",
            None,
            spent.metric_type(),
        )?;
        spent.encode(metric)
    }
}

/// Writes a figure, if it is known.
fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: Option<u64>,
) -> Result<(), fmt::Error> {
    let Some(value) = value else {
        return Ok(());
    };
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    figure(value).encode(metric)
}

/// Writes figures that are told apart by one label.
fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl Iterator<Item = (&'static str, u64)>,
) -> Result<(), fmt::Error> {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (which, value) in values {
        figure(value).encode(metric.encode_family(&[(label, which)])?)?;
    }
    Ok(())
}

fn figure(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
