//! The larder program: reads its command line and does what it says.

fn main() {}
