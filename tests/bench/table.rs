//! The table that comes out, and what has to be known of the machine to read it.

use std::{fmt, fs, thread};

use anyhow::Result;

use super::scenarios::{Rows, Scenario};

/// Rows of scenarios, a column for each target, and notes below.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) targets: Vec<&'static str>,
    pub(crate) notes: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    scenario: Scenario,
    what: String,
    cells: Vec<String>,
}

impl Table {
    /// Puts what was measured into the column of the last target.
    pub(crate) fn add(&mut self, scenario: Scenario, rows: Result<Rows>) {
        let rows = rows.unwrap_or_else(|error| {
            vec![(
                format!("{scenario:?} cannot be measured"),
                format!("{error:#}"),
            )]
        });
        for (what, cell) in rows {
            let same = |row: &Row| row.scenario == scenario && row.what == what;
            let place = self.rows.iter().position(same).unwrap_or_else(|| {
                self.rows.push(Row {
                    scenario,
                    what,
                    cells: Vec::new(),
                });
                self.rows.len() - 1
            });
            let cells = &mut self.rows[place].cells;
            cells.resize(self.targets.len() - 1, String::new());
            cells.push(cell);
        }
        self.rows.sort_by_key(|row| row.scenario);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "| | {} |", self.targets.join(" | "))?;
        writeln!(formatter, "|---|{}", "---|".repeat(self.targets.len()))?;
        for row in &self.rows {
            let mut cells = row.cells.clone();
            cells.resize(self.targets.len(), String::new());
            writeln!(formatter, "| {} | {} |", row.what, cells.join(" | "))?;
        }
        writeln!(formatter, "\n{}.", self.notes.join(". "))
    }
}

/// Returns what machine this is, and how busy it is.
pub(crate) fn machine() -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(format!(
        "{}, {} processors, Linux {}, load before it began {}.",
        model.map_or("processor of an unknown model", |(_, model)| model),
        thread::available_parallelism()?,
        kernel.trim(),
        load.split(' ').next().unwrap_or("unknown"),
    ))
}
