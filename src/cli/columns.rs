//! Aligned columns for people to read.

use super::printable::short;

/// Aligns rows below their heads. Whatever comes in is made safe for a terminal.
pub(super) fn columns(heads: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    let heads: Vec<String> = heads.iter().map(ToString::to_string).collect();
    let shown = |row: Vec<String>| row.iter().map(|cell| short(cell)).collect();
    let rows: Vec<Vec<String>> = [heads].into_iter().chain(rows).map(shown).collect();
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(widest).collect();
    let rows = rows.iter().filter(|row| !row.is_empty());
    rows.map(|row| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    })
    .collect()
}
