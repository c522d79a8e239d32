//! The PROXY protocol, versions 1 and 2: what a proxy for plain TCP says of a connection before its first byte
//! (haproxy, `doc/proxy-protocol.txt`). Read strictly, and never further than its own last byte.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How a header of version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// How a header of version 1 begins.
const FIRST_WORD: &[u8] = b"PROXY ";
/// The longest line of version 1, in bytes, with its end (section 2.1).
const LINE_LIMIT: usize = 107;
/// The part of version 2 that says how long the rest is, in bytes.
const FIXED: usize = 16;
/// The longest rest of version 2 that is taken, in bytes: addresses, and what proxies say of certificates.
const REST_LIMIT: usize = 4 * 1024;

/// For whom a proxy says that it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// For this client.
    Client(SocketAddr),
    /// For nobody, as in checks of its own, or for somebody whose address it cannot tell.
    Nobody,
}

/// What the beginning of a connection says so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The header has at least so many bytes more.
    Needs(usize),
    /// The header is whole: these are all of its bytes.
    Whole(Told),
}

/// Why a connection does not begin as it has to.
#[derive(Debug, Error)]
pub enum ProxyProtocolError {
    /// It begins with something else.
    #[error("the connection does not begin with a PROXY protocol header")]
    Absent,
    /// The header is not as the specification says.
    #[error("the PROXY protocol header is wrong: {0}")]
    Malformed(&'static str),
    /// The rest of a header of version 2 is longer than is taken.
    #[error("the PROXY protocol header has {found} bytes, at most {REST_LIMIT} are taken")]
    TooLong {
        /// How long it says it is.
        found: usize,
    },
    /// The connection ended, or broke.
    #[error("the PROXY protocol header could not be read")]
    Broken(#[from] io::Error),
}

/// Reads a header, and leaves what comes after it.
///
/// # Errors
/// [`ProxyProtocolError`] when the connection begins with anything else.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Told, ProxyProtocolError> {
    let mut bytes = Vec::with_capacity(LINE_LIMIT);
    loop {
        match parse(&bytes)? {
            Progress::Whole(told) => return Ok(told),
            Progress::Needs(more) => {
                let known = bytes.len();
                bytes.resize(known + more, 0);
                stream.read_exact(&mut bytes[known..]).await?;
            }
        }
    }
}

/// Reads the beginning of a connection. Whoever asks again brings as many bytes more as it was told to.
///
/// # Errors
/// [`ProxyProtocolError`] when this cannot become a header.
pub fn parse(bytes: &[u8]) -> Result<Progress, ProxyProtocolError> {
    let is_begun = |beginning: &[u8]| {
        let length = bytes.len().min(beginning.len());
        bytes[..length] == beginning[..length]
    };
    if is_begun(FIRST_WORD) && !bytes.is_empty() {
        return first_version(bytes);
    }
    if !is_begun(&SIGNATURE) {
        return Err(ProxyProtocolError::Absent);
    }
    // Both versions have more bytes than the first word.
    if bytes.is_empty() {
        return Ok(Progress::Needs(FIRST_WORD.len()));
    }
    second_version(bytes)
}

fn first_version(bytes: &[u8]) -> Result<Progress, ProxyProtocolError> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return match bytes.len() {
            0..LINE_LIMIT => Ok(Progress::Needs(1)),
            _ => Err(malformed("the line does not end")),
        };
    };
    if end + 1 != bytes.len() || end >= LINE_LIMIT {
        return Err(malformed("the line does not end where it has to"));
    }
    let line = bytes.strip_suffix(b"\r\n").unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| malformed("the line is no text"))?;
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Ok(Progress::Whole(Told::Nobody)),
        ["PROXY", "TCP4", from, to, port, own] => {
            let addresses = (from.parse::<Ipv4Addr>(), to.parse::<Ipv4Addr>());
            line_of(addresses, port, own)
        }
        ["PROXY", "TCP6", from, to, port, own] => {
            let addresses = (from.parse::<Ipv6Addr>(), to.parse::<Ipv6Addr>());
            line_of(addresses, port, own)
        }
        _ => Err(malformed("it is neither TCP4, TCP6 nor UNKNOWN")),
    }
}

fn line_of<A: Into<IpAddr>, E>(
    addresses: (Result<A, E>, Result<A, E>),
    port: &str,
    own: &str,
) -> Result<Progress, ProxyProtocolError> {
    let (Ok(from), Ok(_)) = addresses else {
        return Err(malformed("an address is none of its family"));
    };
    match (port_of(port), port_of(own)) {
        (Some(port), Some(_)) => {
            let client = SocketAddr::new(from.into(), port);
            Ok(Progress::Whole(Told::Client(client)))
        }
        _ => Err(malformed("a port is none")),
    }
}

/// Reads a port, which has no sign and no zeros before it.
fn port_of(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (port.to_string() == text).then_some(port)
}

fn second_version(bytes: &[u8]) -> Result<Progress, ProxyProtocolError> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Progress::Needs(FIXED - bytes.len()));
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > REST_LIMIT {
        return Err(ProxyProtocolError::TooLong { found: length });
    }
    if command >> 4 != 2 {
        return Err(malformed("it is of no known version"));
    }
    match rest.len() {
        found if found < length => return Ok(Progress::Needs(length - found)),
        found if found > length => return Err(malformed("it ends before that")),
        _ => {}
    }
    match command & 0xf {
        // What a proxy says of a connection of its own is not looked at (section 2.2).
        0 => Ok(Progress::Whole(Told::Nobody)),
        1 => addresses(family, rest).map(Progress::Whole),
        _ => Err(malformed("it has no known command")),
    }
}

/// Reads the addresses, and looks at what comes after them.
fn addresses(family: u8, rest: &[u8]) -> Result<Told, ProxyProtocolError> {
    let short = || malformed("it is too short for its addresses");
    let (told, fields) = match family {
        0x00 => (Told::Nobody, rest),
        0x11 => {
            let (from, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
            let (_, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
            let (port, rest) = ports(rest).ok_or_else(short)?;
            let client = SocketAddr::new(Ipv4Addr::from(*from).into(), port);
            (Told::Client(client), rest)
        }
        0x21 => {
            let (from, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let (_, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let (port, rest) = ports(rest).ok_or_else(short)?;
            let client = SocketAddr::new(Ipv6Addr::from(*from).into(), port);
            (Told::Client(client), rest)
        }
        _ => return Err(malformed("it is for another protocol than TCP")),
    };
    match fields_end_well(fields) {
        true => Ok(told),
        false => Err(malformed("what follows its addresses is cut off")),
    }
}

/// Returns the client's port and what comes after both.
fn ports(rest: &[u8]) -> Option<(u16, &[u8])> {
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let (_, rest) = rest.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*port), rest))
}

/// Tells whether fields of type, length and value fill this.
fn fields_end_well(mut fields: &[u8]) -> bool {
    while let Some(([_, high, low], rest)) = fields.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        match rest.get(length..) {
            Some(next) => fields = next,
            None => return false,
        }
    }
    fields.is_empty()
}

fn malformed(what: &'static str) -> ProxyProtocolError {
    ProxyProtocolError::Malformed(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a header of version 2.
    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    /// Reads a header from a connection on which other bytes follow, and returns those.
    async fn read_of(header: &[u8]) -> (Result<Told, ProxyProtocolError>, Vec<u8>) {
        let bytes = [header, b"GET /"].concat();
        let mut stream = &bytes[..];
        let told = read(&mut stream).await;
        (told, stream.to_vec())
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0, 80];

    #[tokio::test]
    async fn headers_that_are_right() {
        let v6 = [
            &[0x20, 1, 0x0d, 0xb8][..],
            &[0; 11],
            &[7],
            &[0; 16],
            &[0, 9, 0, 80],
        ]
        .concat();
        let with_fields = [&V4[..], &[4, 0, 3, 0, 0, 0], &[0xea, 0, 0]].concat();
        for (header, told) in [
            (
                &b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 80\r\n"[..],
                "192.0.2.1:4660",
            ),
            (b"PROXY TCP6 2001:db8::7 ::1 9 80\r\n", "[2001:db8::7]:9"),
            (b"PROXY UNKNOWN\r\n", ""),
            (
                b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
                "",
            ),
            (&second(0x21, 0x11, &V4), "192.0.2.1:4660"),
            (&second(0x21, 0x11, &with_fields), "192.0.2.1:4660"),
            (&second(0x21, 0x21, &v6), "[2001:db8::7]:9"),
            (&second(0x21, 0x00, &[]), ""),
            (&second(0x20, 0x00, &[]), ""),
            // Of its own connections, a proxy may say anything.
            (&second(0x20, 0x11, &V4), ""),
            (&second(0x20, 0xff, &[1, 2]), ""),
        ] {
            let (found, rest) = read_of(header).await;
            let expected = match told {
                "" => Told::Nobody,
                client => Told::Client(client.parse().unwrap()),
            };
            assert_eq!(found.unwrap(), expected, "{}", header.escape_ascii());
            assert_eq!(rest, b"GET /", "{}", header.escape_ascii());
        }
    }

    #[tokio::test]
    async fn headers_that_are_wrong() {
        let mut old = second(0x21, 0x11, &V4);
        old[12] = 0x11;
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_LIMIT));
        for header in [
            &b""[..],
            b"\x16\x03\x01\x02\x00\x01",
            b"PROXY  TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
            b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.01 10.0.0.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n",
            b"PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n",
            b"PROXY \xff\r\n",
            b"proxy UNKNOWN\r\n",
            long.as_bytes(),
            &old,
            &second(0x22, 0x11, &V4),
            &second(0x21, 0x12, &V4),
            &second(0x21, 0x31, &[0; 216]),
            &second(0x21, 0x11, &V4[..11]),
            &second(0x21, 0x21, &V4),
            &second(0x21, 0x11, &[&V4[..], &[4, 0, 9, 0]].concat()),
            &second(0x21, 0x11, &[&V4[..], &[4, 0]].concat()),
            &second(0x21, 0x11, &[0; REST_LIMIT + 1]),
        ] {
            let (found, _) = read_of(header).await;
            assert!(found.is_err(), "{}: {found:?}", header.escape_ascii());
        }
    }

    #[tokio::test]
    async fn a_header_that_is_cut_is_none() {
        for header in [&b"PROXY UNKNOWN\r\n"[..], &second(0x21, 0x11, &V4)] {
            for length in 0..header.len() {
                let found = read(&mut &header[..length]).await;
                assert!(
                    matches!(found, Err(ProxyProtocolError::Broken(_))),
                    "{found:?}"
                );
            }
        }
    }
}
