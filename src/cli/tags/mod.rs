//! `larder tags`: lists the tags of a repository, straight from its registry; or says where a tag pointed before.

mod arguments;
mod history;
mod order;

use serde::Serialize;

pub(super) use arguments::{TAGS_HELP, TagsArguments};

use super::args::Format;
use super::failure::Failure;
use super::output::Output;
use super::printable;
use super::trouble::Trouble;
use super::visit::{self, Visit};
use crate::config::Surroundings;
use crate::oci::Tag;

/// The most tags that are taken: ten times what the largest public repositories have, and little enough to sort in
/// memory.
const MAX_TAGS: usize = 1_000_000;

/// Prints the tags of a repository.
pub(super) fn tags(
    arguments: TagsArguments,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let TagsArguments {
        image,
        limit,
        history,
        output: format,
        folder,
    } = arguments;
    if history {
        return history::history(&image, format, &folder.into(), surroundings, output);
    }
    if folder.remote.admin_url.is_some() {
        let problem = anyhow::anyhow!(
            "tags are listed straight from their registry: --admin-url is for `larder tags --history`"
        );
        return Err(Failure::misused(problem));
    }
    let flags = folder.into();
    if image.tag.is_some() || image.digest.is_some() {
        let problem = anyhow::anyhow!(
            "{image} names one image: to list tags, give a name without tag and digest, as in `larder tags {}`; --history says where a tag pointed",
            image.name
        );
        return Err(Failure::misused(problem));
    }
    let look = async |visit: &Visit| {
        let tags = read(visit, output).await?;
        let count = limit.map_or(tags.len(), |limit| limit.get().min(tags.len()));
        output.data(&shown(visit, &tags[..count], format));
        Ok(())
    };
    visit::visit(&flags, surroundings, &image.name, look)
}

/// Reads all pages, and sorts the tags.
async fn read(visit: &Visit, output: &mut Output) -> Result<Vec<Tag>, Trouble> {
    let (mut tags, mut after) = (Vec::new(), None);
    loop {
        let asked = visit
            .upstream
            .tags(&visit.origin.repository, after.as_ref());
        let page = Box::pin(asked).await;
        let page = page
            .map_err(|error| visit.trouble(error))?
            .ok_or_else(|| visit.no_repository())?;
        tags.extend(page.tags);
        if tags.len() > MAX_TAGS {
            return Err(Trouble::TooManyTags {
                origin: visit.origin.clone(),
                limit: MAX_TAGS,
            });
        }
        output.progress(&format!("{} tags so far", tags.len()));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    order::sort(&mut tags);
    Ok(tags)
}

#[derive(Serialize)]
struct Document<'a> {
    registry: &'a str,
    repository: &'a str,
    tags: Vec<&'a str>,
}

/// Writes tags the way that is asked for.
fn shown(visit: &Visit, tags: &[Tag], format: Format) -> String {
    let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    match format {
        Format::Table => tags.join("\n"),
        Format::Json => printable::json(&Document {
            registry: visit.origin.upstream.as_str(),
            repository: visit.origin.repository.as_str(),
            tags,
        }),
    }
}
