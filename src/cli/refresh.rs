//! `larder refresh`: has the registry asked now what a tag points at.

use clap::Args;

use super::args::{FolderArguments, Format};
use super::failure::Failure;
use super::operator::{self, Alone, Operator};
use super::output::Output;
use super::printable;
use crate::addressing::ImageName;
use crate::admin::document::{Answered, Change, Refreshed};
use crate::config::Surroundings;
use crate::oci::VariantClass;

/// What `larder refresh --help` says behind the flags.
pub(super) const REFRESH_HELP: &str = "\
The running larder does it, and what it serves from then on is what the registry said. When none is
running, this command does it in the cache folder itself.

The JSON has the keys registry, repository, tag and variants: class (index, or manifest for clients
that read no indexes), before and now (digests), change (unchanged, moved or new). `larder --help`
has the exit codes.";

/// The flags of `larder refresh`.
#[derive(Args, Debug)]
pub(super) struct RefreshArguments {
    /// The image, by its tag, as behind larder's address in `docker pull`: alpine:3.20.
    ///
    /// Without a tag, it is latest.
    image: ImageName,
    /// How to show what came of it: as text, or as JSON.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    folder: FolderArguments,
}

/// Prints what the tag pointed at, and what it points at now.
pub(super) fn refresh(
    arguments: RefreshArguments,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let RefreshArguments {
        image,
        output: format,
        folder,
    } = arguments;
    if image.digest.is_some() {
        // Before the cache folder is opened, or made, for nothing.
        let problem = anyhow::anyhow!(
            "{image} is named by its digest, and what a digest names never changes: give a tag"
        );
        return Err(Failure::misused(problem));
    }
    let work = async |operator: Operator| operator.refresh(&image.to_string()).await;
    let done = operator::operate(&folder.into(), surroundings, Alone::Keep, work)?;
    output.data(&match format {
        Format::Table => table(&done),
        Format::Json => printable::json(&done),
    });
    Ok(())
}

fn table(done: &Refreshed) -> String {
    let Refreshed {
        registry,
        repository,
        tag,
        variants,
    } = done;
    let mut lines = Vec::new();
    for Answered {
        class,
        before,
        now,
        change,
    } in variants
    {
        let change = match change {
            Change::Unchanged => "unchanged",
            Change::Moved => "moved",
            Change::New => "new",
        };
        let whom = match class {
            VariantClass::Index => "",
            VariantClass::Manifest | VariantClass::Schema1 => ", for clients that read no indexes",
        };
        lines.push(format!(
            "{}/{}:{}: {change}{whom}",
            printable::short(registry),
            printable::short(repository),
            printable::short(tag),
        ));
        let before = before.filter(|before| before != now);
        lines.extend(before.map(|before| format!("  before  {before}")));
        lines.push(format!("  now     {now}"));
    }
    lines.join("\n")
}
