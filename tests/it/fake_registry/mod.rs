//! The fake registry tells the truth when nothing is wrong, and lies exactly as its script says.

mod answers;
mod bodies;
mod log;
mod logins;
mod quota;
mod serving;
mod sockets;
mod tokens;
