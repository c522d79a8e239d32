//! What is said of names that nobody knows: which one may have been meant, and where it belongs.

use super::keys::homes;

/// Returns the known name that is nearest to a name, unless even that is a guess.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // One slip in three letters: more, and the nearest name is a guess.
    let at_most = name.chars().count().div_ceil(3);
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .filter(|(distance, _)| *distance <= at_most)
        .min();
    nearest.map(|(_, known)| known)
}

/// Says where a key belongs that is written in a table that does not have it. `None` when no table has it.
pub(super) fn misplaced(name: &str) -> Option<String> {
    let homes = homes(name);
    (!homes.is_empty()).then(|| {
        format!(
            "the key '{name}' does not belong here, but to {}",
            homes.join(" or ")
        )
    })
}

/// Says that a name is unknown, and which known one is nearest, or else all that are known.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let nearest = nearest(name, known);
    let name = name.escape_debug();
    match nearest {
        Some(nearest) => format!("unknown {what} '{name}': did you mean '{nearest}'?"),
        None => format!(
            "unknown {what} '{name}': known here are {}",
            known.join(", ")
        ),
    }
}
