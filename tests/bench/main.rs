//! larder beside other ways to cache a registry, on this machine: `cargo bench --locked --bench compare`.
//!
//! Each target is started with an empty cache and goes through all scenarios; those that are not installed are left out.
//! Everything is on the loopback interface: plain HTTP, without logs of requests, from the page cache. The registry behind
//! the targets and their clients are in this process, and share the processors with the target. So compare columns of one
//! run and not runs, and trust *processor time*, which is the target's alone, more than requests or bytes per second.
//! Clients drop bodies in the kernel where nothing is checked: rates are what a target can send, not what a client can
//! take. A target checks nothing of what it serves from files or a plain cache; larder hashes all that it pulls.
//!
//! `LARDER_BENCH_BINARY` names another larder than the one of this tree.

mod client;
mod content;
mod process;
mod scenarios;
mod table;
mod targets;
mod upstream;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use larder::runtime::signals::StopSignals;
use tempfile::TempDir;
use tokio::runtime;
use tokio::sync::oneshot;

use content::Image;
use scenarios::{Scenario, Sizes};
use table::{Table, machine};
use targets::Target;
use upstream::Upstream;

/// Compares larder with other ways to cache a registry. Prints a table in Markdown.
#[derive(Debug, Parser)]
struct Arguments {
    /// Measures this alone; can be given several times
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// Does little of everything, to see whether it works
    #[arg(long)]
    quick: bool,
    /// What cargo says to each benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

const FULL: Sizes = Sizes {
    manifest_time: Duration::from_secs(5),
    blob_rounds: 15,
    blob: 200_000_000,
    cold: 1_000_000_000,
    herd: 50_000_000,
};

const QUICK: Sizes = Sizes {
    manifest_time: Duration::from_secs(1),
    blob_rounds: 3,
    blob: 50_000_000,
    cold: 100_000_000,
    herd: 10_000_000,
};

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(place)?;
    let scratch = TempDir::new_in(place)?;
    let folder = scratch.path().to_owned();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        let (ended, end) = oneshot::channel();
        thread::spawn(move || ended.send(compare(&arguments, &folder)));
        tokio::select! {
            result = end => result.context("it broke off")?.map(|()| ExitCode::SUCCESS),
            _ = signals.next() => {
                process::kill_all();
                Ok(ExitCode::FAILURE)
            }
        }
    })
}

fn compare(arguments: &Arguments, scratch: &Path) -> Result<()> {
    let sizes = if arguments.quick { QUICK } else { FULL };
    let machine = machine()?;
    let mut scenarios = Scenario::value_variants().to_vec();
    scenarios.retain(|it| arguments.only.is_empty() || arguments.only.contains(it));
    let images: Vec<Image> = scenarios
        .iter()
        .map(|scenario| scenario.image(&sizes))
        .collect();
    let mut upstream = Upstream::start(&images)?;
    let mut table = Table::default();
    for target in Target::ALL {
        if let Err(missing) = target.program() {
            table
                .notes
                .push(format!("{} is left out: {missing}", target.name()));
            continue;
        }
        let running = target.start(scratch, upstream.port(), &images)?;
        table
            .notes
            .push(format!("{}: {}", target.name(), target.version()?));
        table.targets.push(target.name());
        let suited = |scenario: &Scenario| target.is_cache() || scenario.is_warm();
        for (scenario, image) in scenarios
            .iter()
            .zip(&images)
            .filter(|(scenario, _)| suited(scenario))
        {
            writeln!(io::stderr(), "{}: {scenario:?}", target.name())?;
            let rows = scenario.run(image, &running, &mut upstream, &sizes);
            table.add(*scenario, rows);
        }
    }
    writeln!(io::stdout(), "{table}\n{machine}")?;
    Ok(())
}
