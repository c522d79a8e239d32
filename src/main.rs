//! The larder program: reads its command line and does what it says.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder::cli::main()
}
