//! Files on their way to a socket without a copy: `sendfile` under hyper.
//!
//! hyper hands on what a body gives it by address and length. A window is a part of a file that is mapped into memory
//! and that nobody looks into; the socket knows the windows of its connection, and where hyper writes one, it has the
//! kernel send the file. A window is real memory: if hyper copied it, the bytes would be right and late, and a file that
//! is cut meanwhile would be the end of this process. So connections have hyper write without copying, and tests hold it to that.

mod socket;
mod windows;

pub(super) use self::socket::FileSocket;
pub(super) use self::windows::Windows;

#[cfg(test)]
mod tests;
