//! `larder tags --history`: where a tag pointed, as far as larder saw it.

use crate::addressing::ImageName;
use crate::admin::document::{History, Moment, Variant};
use crate::cache::sight::Visibility;
use crate::cli::ago::ago;
use crate::cli::args::Format;
use crate::cli::columns::columns;
use crate::cli::failure::Failure;
use crate::cli::not_done::NotDone;
use crate::cli::operator::{self, Alone, Meant, Operator};
use crate::cli::output::Output;
use crate::cli::printable;
use crate::config::Surroundings;
use crate::oci::VariantClass;
use crate::runtime::Clock;

/// Prints the moves of a tag.
pub(super) fn history(
    image: &ImageName,
    format: Format,
    meant: &Meant,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(), Failure> {
    let work = async |operator: Operator| {
        let history = operator.history(&image.to_string()).await?;
        if history.variants.is_empty() {
            let History {
                registry,
                repository,
                tag,
                ..
            } = history;
            let image = format!("{registry}/{repository}:{tag}");
            return Err(NotDone::NoHistory { image });
        }
        Ok(history)
    };
    let history = operator::operate(meant, surroundings, Alone::Look, work)?;
    output.data(&match format {
        Format::Table => table(&history, Clock::system().now().into()),
        Format::Json => printable::json(&history),
    });
    Ok(())
}

fn table(history: &History, now: Moment) -> String {
    let mut lines = Vec::new();
    for variant in &history.variants {
        if history.variants.len() > 1 {
            lines.extend((!lines.is_empty()).then(String::new));
            lines.push(heading(variant).to_owned());
        }
        let rows = variant.moves.iter().map(|seen| {
            let present = if seen.is_present { "present" } else { "" };
            vec![
                seen.digest.to_string(),
                ago(seen.first_seen, now),
                ago(seen.last_seen, now),
                present.to_owned(),
            ]
        });
        let heads = ["DIGEST", "FIRST SEEN", "LAST SEEN"];
        lines.extend(columns(&heads, rows.collect()));
    }
    lines.join("\n")
}

/// Says who saw it.
fn heading(variant: &Variant) -> &'static str {
    match (variant.class, variant.visibility) {
        (VariantClass::Index, Visibility::Public) => "as anybody sees it",
        (VariantClass::Index, Visibility::Private) => "as the login sees it",
        (VariantClass::Manifest | VariantClass::Schema1, Visibility::Public) => {
            "as anybody sees it who reads no indexes"
        }
        (VariantClass::Manifest | VariantClass::Schema1, Visibility::Private) => {
            "as the login sees it, for clients that read no indexes"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::document::Move;
    use crate::oci::Digest;
    use crate::runtime::Timestamp;

    #[test]
    fn the_newest_is_on_top_and_who_saw_it_is_said() {
        let at = |minutes: u64| Moment(Timestamp::from_millis(minutes * 60_000));
        let seen = |byte, first, last, is_present| Move {
            digest: Digest::Sha256([byte; 32]),
            first_seen: at(first),
            last_seen: at(last),
            is_present,
        };
        let variant = |class, moves| Variant {
            class,
            visibility: Visibility::Public,
            moves,
        };
        let moves = vec![seen(0xbb, 120, 178, true), seen(0xaa, 1, 60, false)];
        let mut history = History {
            registry: "r.io".into(),
            repository: "app".into(),
            tag: "1".into(),
            variants: vec![variant(VariantClass::Index, moves.clone())],
        };
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        let one = format!(
            "DIGEST{:67}FIRST SEEN      LAST SEEN\n\
             sha256:{b}  1 hour ago      2 minutes ago  present\n\
             sha256:{a}  2 hours ago     2 hours ago",
            ""
        );
        let squeezed = |text: &str| {
            let lines = text.lines();
            let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
            lines.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(squeezed(&table(&history, at(180))), squeezed(&one));
        history
            .variants
            .push(variant(VariantClass::Manifest, moves));
        let two = table(&history, at(180));
        assert!(two.starts_with("as anybody sees it\nDIGEST"), "{two}");
        let second = "\n\nas anybody sees it who reads no indexes\nDIGEST";
        assert!(two.contains(second), "{two}");
    }
}
