//! A proxy on the way out: it forwards plain requests, and tunnels the others.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use http::Uri;
use larder::runtime::Tasks;
use larder::upstream::Egress;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A proxy on a loopback port. It knows every name, as this machine, and stops when it is dropped.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Forwarded>>>,
    tasks: Tasks,
}

/// What a proxy was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Its method and target: `CONNECT host:port`, or `GET http://…`.
    pub line: String,
    /// Its `Proxy-Authorization`.
    pub authorization: Option<String>,
}

impl ForwardProxy {
    /// Starts a proxy.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            tasks: Tasks::new(),
        };
        let (asked, tasks) = (proxy.asked.clone(), proxy.tasks.clone());
        proxy.tasks.spawn("forward proxy", async move {
            let stopping = tasks.stopping();
            while let Some(Ok((socket, _))) = stopping.run_until_cancelled(listener.accept()).await
            {
                let (asked, stopping) = (asked.clone(), stopping.clone());
                tasks.spawn("forwarded", async move {
                    // A connection that broke is over, and that is all.
                    stopping
                        .run_until_cancelled(forward(socket, &asked))
                        .await
                        .map(Result::ok)
                });
            }
        });
        proxy
    }

    /// Returns the settings to reach everything through it, with a login.
    pub fn egress(&self, login: &str) -> Egress {
        let url: Arc<str> = format!("http://{login}@{}", self.address).into();
        Egress {
            http: Some(url.clone()),
            https: Some(url),
            except: None,
        }
    }

    /// Returns what it was asked, in order.
    pub fn asked(&self) -> Vec<Forwarded> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn forward(socket: TcpStream, asked: &Mutex<Vec<Forwarded>>) -> io::Result<()> {
    let mut client = BufReader::new(socket);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if client.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.remove(0).replace(" HTTP/1.1", "");
    let own = lines.extract_if(.., |line| line.to_lowercase().starts_with("proxy-"));
    let authorization = own
        .filter_map(|line| line.split_once(": ").map(|(_, value)| value.to_owned()))
        .next();
    asked.lock().unwrap().push(Forwarded {
        line: line.clone(),
        authorization,
    });
    let (method, target) = line.split_once(' ').unwrap();
    let target: Uri = target.parse().unwrap();
    let port = target.port_u16().unwrap_or(80);
    let mut host = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    } else {
        let path = target.path_and_query().unwrap();
        let rest = lines.join("\r\n");
        let head = format!("{method} {path} HTTP/1.1\r\n{rest}\r\nconnection: close\r\n\r\n");
        host.write_all(head.as_bytes()).await?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut host)
        .await
        .map(drop)
}
