//! `larder refresh`: has the registry asked now what a tag points at.

use super::args::{Format, RefreshArguments};
use super::failure::Failure;
use super::operator::{self, Alone, Operator};
use super::output::Output;
use super::printable;
use crate::admin::document::{Answered, Change, Refreshed};
use crate::config::Surroundings;
use crate::oci::VariantClass;

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
