//! The fake registry tells the truth when nothing is wrong, and lies exactly as its script says.

mod answers;
mod bodies;
mod log;
mod serving;
mod sockets;
mod tokens;
