//! Who is compared, and how each is configured: without logs of requests, and where a choice exists, tags count as fresh
//! for [`FRESHNESS`].

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::content::Image;
use super::process::{Process, free_port};

/// How long a tag counts as fresh, in seconds.
pub(crate) const FRESHNESS: u64 = 2;

/// Who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one of this tree.
    Larder,
    /// Debian's, as a pull-through cache.
    DockerRegistry,
    /// nginx with `proxy_cache`.
    NginxCache,
    /// nginx with the content as files: what is possible at all.
    NginxFiles,
}

/// A target that runs. It ends before its folder goes.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) port: u16,
    _folder: TempDir,
}

impl Target {
    pub(crate) const ALL: [Self; 4] = [
        Self::Larder,
        Self::DockerRegistry,
        Self::NginxCache,
        Self::NginxFiles,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Larder => "larder",
            Self::DockerRegistry => "docker-registry",
            Self::NginxCache => "nginx, proxy_cache",
            Self::NginxFiles => "nginx, files (no cache)",
        }
    }

    /// Returns whether it pulls through, and not just serves files.
    pub(crate) fn is_cache(self) -> bool {
        self != Self::NginxFiles
    }

    /// Returns its program, or what to do where there is none.
    pub(crate) fn program(self) -> Result<PathBuf> {
        let (name, package) = match self {
            Self::Larder => {
                let other = env::var_os("LARDER_BENCH_BINARY").map(PathBuf::from);
                return Ok(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_larder").into()));
            }
            Self::DockerRegistry => ("docker-registry", "docker-registry"),
            Self::NginxCache | Self::NginxFiles => ("nginx", "nginx-light"),
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
        let found = folders.find_map(|folder| Some(folder.join(name)).filter(|it| it.is_file()));
        found.with_context(|| format!("no {name}: apt-get install {package}"))
    }

    /// Returns what its program says of its version.
    pub(crate) fn version(self) -> Result<String> {
        let argument = if self.program()?.ends_with("nginx") {
            "-v"
        } else {
            "--version"
        };
        let output = Command::new(self.program()?).arg(argument).output()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// Starts it with an empty cache, in a new folder below this one.
    pub(crate) fn start(self, scratch: &Path, upstream: u16, images: &[Image]) -> Result<Running> {
        let folder = TempDir::new_in(scratch)?;
        let (place, port) = (folder.path(), free_port()?);
        let (name, text) = match self {
            Self::Larder => ("larder.toml", larder(place, port, upstream)),
            Self::DockerRegistry => ("config.yml", docker_registry(place, port, upstream)),
            Self::NginxCache => (
                "nginx.conf",
                nginx(place, &proxy_cache(place, port, upstream)),
            ),
            Self::NginxFiles => ("nginx.conf", nginx(place, &files(place, port, images)?)),
        };
        let file = place.join(name);
        fs::write(&file, text)?;
        let mut command = Command::new(self.program()?);
        match self {
            Self::Larder => command
                .args(["serve", "--config"])
                .arg(file)
                .env("LARDER_LOG", "error"),
            Self::DockerRegistry => command.arg("serve").arg(file),
            Self::NginxCache | Self::NginxFiles => {
                command.arg("-c").arg(file).arg("-e").arg(place.join("log"))
            }
        };
        let process = Process::start(&mut command, &place.join("log"), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })?;
        Ok(Running {
            process,
            port,
            _folder: folder,
        })
    }
}

fn larder(folder: &Path, port: u16, upstream: u16) -> String {
    let folder = folder.display();
    format!(
        "[server]\n\
         listen = '127.0.0.1:{port}'\n\
         default_upstream = 'up.test'\n\
         public_registries = false\n\
         [cache]\n\
         path = '{folder}/cache'\n\
         min_free = '64MiB'\n\
         [tags]\n\
         freshness = '{FRESHNESS}s'\n\
         [[upstream]]\n\
         name = 'up.test'\n\
         endpoints = ['http://127.0.0.1:{upstream}']\n"
    )
}

/// It has no freshness: it asks for each tag each time.
fn docker_registry(folder: &Path, port: u16, upstream: u16) -> String {
    let folder = folder.display();
    format!(
        "version: 0.1\n\
         log: {{level: error, accesslog: {{disabled: true}}}}\n\
         http: {{addr: '127.0.0.1:{port}', secret: none}}\n\
         storage: {{filesystem: {{rootdirectory: '{folder}/cache'}}, cache: {{blobdescriptor: inmemory}}}}\n\
         proxy: {{remoteurl: 'http://127.0.0.1:{upstream}'}}\n"
    )
}

/// Returns a configuration around that of a server.
fn nginx(folder: &Path, server: &str) -> String {
    let folder = folder.display();
    // As root it would give its workers to a user who may not look into the folder.
    let user = if rustix::process::getuid().is_root() {
        "user root root;"
    } else {
        ""
    };
    format!(
        "{user}
        daemon off; worker_processes auto; pid {folder}/pid; error_log {folder}/log error;
        events {{ worker_connections 4096; }}
        http {{
          access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
          client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
          uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
          {server}
        }}"
    )
}

/// One download at a time for each blob, and what is old is served while the registry cannot be reached, or a
/// tag is being asked for again.
fn proxy_cache(folder: &Path, port: u16, upstream: u16) -> String {
    let folder = folder.display();
    format!(
        "proxy_cache_path {folder}/cache levels=1:2 keys_zone=registry:16m max_size=100g inactive=30d use_temp_path=off;
        upstream registry {{ server 127.0.0.1:{upstream}; keepalive 64; }}
        server {{
          listen 127.0.0.1:{port};
          proxy_http_version 1.1; proxy_set_header Connection \"\";
          proxy_cache registry; proxy_cache_key $uri; proxy_cache_lock on; proxy_cache_lock_timeout 10m; proxy_cache_lock_age 10m;
          proxy_cache_use_stale error timeout updating http_429 http_500 http_502 http_503 http_504;
          proxy_cache_background_update on;
          location = /v2/ {{ return 200 '{{}}'; }}
          location ~ /blobs/ {{ proxy_pass http://registry; proxy_cache_valid 200 365d; }}
          location ~ /manifests/sha256: {{
            proxy_pass http://registry; proxy_cache_valid 200 365d;
          }}
          location ~ /manifests/ {{
            proxy_pass http://registry; proxy_cache_valid 200 {FRESHNESS}s;
          }}
        }}"
    )
}

/// Writes the content of images into files.
fn files(folder: &Path, port: u16, images: &[Image]) -> Result<String> {
    for (path, content) in images.iter().flat_map(|image| image.resources()) {
        let file = folder.join("files").join(path.trim_start_matches('/'));
        fs::create_dir_all(file.parent().context("it is in a folder")?)?;
        let mut file = fs::File::create(file)?;
        content.parts().try_for_each(|part| file.write_all(part))?;
    }
    let folder = folder.display();
    Ok(format!(
        "open_file_cache max=1000 inactive=10m; open_file_cache_valid 10m;
        server {{
          listen 127.0.0.1:{port}; root {folder}/files;
          location = /v2/ {{ return 200 '{{}}'; }}
        }}"
    ))
}
