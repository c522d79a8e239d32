//! Figures that are looked up when somebody asks for them.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

use crate::cache::Cache;
use crate::runtime::Tasks;

/// How larder stands at this moment.
#[derive(Debug)]
pub struct Gauges {
    /// The cache.
    pub cache: Arc<Cache>,
    /// All tasks.
    pub tasks: Tasks,
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, value) in [
            (
                "fills",
                "Blobs that are being fetched",
                self.cache.blobs.fills() as u64,
            ),
            ("tasks", "Tasks that are running", self.tasks.count() as u64),
            (
                "unverified_parts",
                "Parts of blobs that went out before the whole was verified, since the start",
                self.cache.blobs.unverified_parts(),
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
