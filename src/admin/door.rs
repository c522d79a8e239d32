//! Health and metrics over HTTP. Nothing here changes anything, and nothing here tells a secret.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connections;
use crate::runtime::Tasks;

/// What connections are for, as the log says it.
const WHAT: &str = "health and metrics";
/// The form of the metrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What can be asked for here.
#[derive(Debug)]
pub struct Page {
    /// Its paths, which mean the same.
    pub paths: &'static [&'static str],
    /// What it answers with.
    pub answer: &'static str,
    /// The statuses of its answers.
    pub statuses: &'static [StatusCode],
    kind: PageKind,
}

#[derive(Clone, Copy, Debug)]
enum PageKind {
    Life,
    Readiness,
    Metrics,
}

/// All that can be asked for. Requests are answered by this table, and the README is written from it.
pub static PAGES: [Page; 3] = [
    Page {
        paths: &["/livez", "/healthz"],
        answer: "that larder runs",
        statuses: &[StatusCode::OK],
        kind: PageKind::Life,
    },
    Page {
        paths: &["/readyz"],
        answer: "whether clients should come: 503 from the moment on when larder is told to stop",
        statuses: &[StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE],
        kind: PageKind::Readiness,
    },
    Page {
        paths: &["/metrics"],
        answer: "all metrics, in the text form of OpenMetrics; 500 when they cannot be written",
        statuses: &[StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR],
        kind: PageKind::Metrics,
    },
];

/// A door that listens.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    registry: Arc<Registry>,
    tasks: Tasks,
}

impl Door {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(listen: SocketAddr, registry: Registry, tasks: Tasks) -> io::Result<Self> {
        Ok(Self::at(TcpListener::bind(listen).await?, registry, tasks))
    }

    /// Takes a socket that listens already.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn over(
        socket: std::net::TcpListener,
        registry: Registry,
        tasks: Tasks,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::at(TcpListener::from_std(socket)?, registry, tasks))
    }

    fn at(listener: TcpListener, registry: Registry, tasks: Tasks) -> Self {
        Self {
            listener,
            registry: Arc::new(registry),
            tasks,
        }
    }

    /// Returns the address that is listened on.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the tasks are told to stop. It is ready until `stopping`.
    pub async fn run(self, stopping: CancellationToken) {
        let accept = || async { Ok(self.listener.accept().await?.0) };
        let serve = |stream| {
            let (registry, stopping) = (self.registry.clone(), stopping.clone());
            let tasks = self.tasks.clone();
            connections::converse(WHAT, stream, move |request| {
                let (registry, stopping) = (registry.clone(), stopping.clone());
                let tasks = tasks.clone();
                async move { answer(&request, registry, &stopping, &tasks).await }
            })
        };
        connections::serve_all(WHAT, &self.tasks, accept, serve).await;
    }
}

/// Answers one request. A dead registry or a full disk leaves larder ready: what is here can be served.
async fn answer<B>(
    request: &Request<B>,
    registry: Arc<Registry>,
    stopping: &CancellationToken,
    tasks: &Tasks,
) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    let path = request.uri().path();
    let Some(page) = PAGES.iter().find(|page| page.paths.contains(&path)) else {
        let what = "here are /livez, /readyz and /metrics\n";
        return text(StatusCode::NOT_FOUND, what);
    };
    match page.kind {
        PageKind::Life => text(StatusCode::OK, "alive\n"),
        PageKind::Readiness if stopping.is_cancelled() => {
            text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        }
        PageKind::Readiness => text(StatusCode::OK, "ready\n"),
        // Some figures are asked of the operating system, which may take its time.
        PageKind::Metrics => {
            let written = tasks.spawn_blocking(move || metrics(&registry)).await;
            written.unwrap_or_else(|_| {
                let what = "the metrics could not be written\n";
                text(StatusCode::INTERNAL_SERVER_ERROR, what)
            })
        }
    }
}

fn metrics(registry: &Registry) -> Response<Full<Bytes>> {
    let mut body = String::new();
    match prometheus_client::encoding::text::encode(&mut body, registry) {
        Ok(()) => {
            let mut response = text(StatusCode::OK, body);
            response
                .headers_mut()
                .insert(CONTENT_TYPE, http::HeaderValue::from_static(OPEN_METRICS));
            response
        }
        Err(error) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the metrics cannot be written: {error}\n"),
        ),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::connections::CONNECTIONS;
    use super::*;

    async fn ask(method: Method, path: &str, stopping: &CancellationToken) -> (u16, String) {
        let mut registry = Registry::with_prefix("larder");
        let counter = Counter::<u64>::default();
        counter.inc_by(7);
        registry.register("things", "Things that were counted", counter);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(())
            .unwrap();
        let response = answer(&request, Arc::new(registry), stopping, &Tasks::new()).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_ends_before_life_does() {
        let stopping = CancellationToken::new();
        assert_eq!(ask(Method::GET, "/readyz", &stopping).await.0, 200);
        stopping.cancel();
        assert_eq!(ask(Method::GET, "/readyz", &stopping).await.0, 503);
        assert_eq!(ask(Method::GET, "/livez", &stopping).await.0, 200);
    }

    #[tokio::test]
    async fn every_page_answers_at_all_of_its_paths() {
        for page in &PAGES {
            for path in page.paths {
                for stops in [false, true] {
                    let stopping = CancellationToken::new();
                    if stops {
                        stopping.cancel();
                    }
                    let (status, _) = ask(Method::GET, path, &stopping).await;
                    let is_told = page.statuses.iter().any(|told| *told == status);
                    assert!(is_told, "{path}: {status}");
                }
            }
        }
    }

    #[tokio::test]
    async fn metrics_are_read_only_and_complete() {
        let stopping = CancellationToken::new();
        let (status, body) = ask(Method::GET, "/metrics", &stopping).await;
        assert_eq!(status, 200);
        assert!(body.contains("larder_things_total 7\n"), "{body}");
        assert!(body.ends_with("# EOF\n"), "{body}");
        assert_eq!(ask(Method::POST, "/metrics", &stopping).await.0, 405);
        assert_eq!(ask(Method::GET, "/secrets", &stopping).await.0, 404);
    }

    #[tokio::test]
    async fn only_so_many_are_served_at_once() {
        let tasks = Tasks::new();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let door = Door::bind(listen, Registry::default(), tasks.clone());
        let door = door.await.unwrap();
        let address = door.local_addr().unwrap();
        let run = tasks.spawn("door", door.run(CancellationToken::new()));
        let ask = async |mut stream: TcpStream| {
            stream
                .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            stream
        };
        let mut served = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await.unwrap();
            served.push(ask(stream).await);
        }
        // The door itself, and those who are served.
        assert_eq!(tasks.count(), 1 + CONNECTIONS);
        let further = TcpStream::connect(address).await.unwrap();
        let mut further = std::pin::pin!(ask(further));
        for _ in 0..100 {
            tokio::select! {
                biased;
                _ = further.as_mut() => panic!("there is no place for it"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(tasks.count(), 1 + CONNECTIONS);
        served.pop();
        drop(further.await);
        assert_eq!(tasks.drain(Duration::from_secs(10)).await, 0);
        run.await.unwrap();
    }
}
