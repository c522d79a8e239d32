//! `larder inspect`: describes what a tag or digest leads to, straight from its registry.

mod arguments;
mod document;
mod gather;
mod platform;
mod report;
mod table;

pub(super) use arguments::{INSPECT_HELP, InspectArguments};

use super::args::Format;
use super::failure::Failure;
use super::output::Output;
use super::printable;
use super::visit::{self, Visit};
use crate::config::Surroundings;

/// Prints what an image or artifact is.
pub(super) fn inspect(
    arguments: InspectArguments,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let InspectArguments {
        image,
        platform,
        output: format,
        config,
    } = arguments;
    let look = async |visit: &Visit| {
        let gathering = gather::gather(visit, image.reference(), platform.as_ref());
        Box::pin(gathering).await
    };
    let report = visit::visit(&config.into(), surroundings, &image.name, look)?;
    output.data(&match format {
        Format::Table => table::table(&report),
        Format::Json => printable::json(&report),
    });
    Ok(())
}
