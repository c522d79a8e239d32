//! An image for two platforms, made from the files of installed Debian packages, in the storage of a registry.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use larder::oci::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::content::{Content, sha256};
use super::registry::{Access, Door, Registry};
use super::skopeo::{Platforms, Skopeo};

/// The repository that the image is published in, with the tags `1` (an OCI index) and `docker` (a manifest list).
pub(crate) const REPOSITORY: &str = "library/busybox";

/// The architectures that it is published for.
pub(crate) const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// The packages whose files make the large layer: together well over 24 MiB when compressed.
const PACKAGES: [&str; 3] = ["docker-registry", "skopeo", "containernetworking-plugins"];

/// How much is in an image.
#[derive(Clone, Copy, Debug)]
enum Size {
    /// Programs, settings and packages.
    Large,
    /// Programs and settings.
    Small,
}

/// A published image.
#[derive(Debug)]
pub(crate) struct Image {
    folder: TempDir,
    index: Digest,
    manifests: Vec<Digest>,
    blobs: Vec<Digest>,
    large_layer: Digest,
    pulled: Content,
}

impl Image {
    /// Returns the image, which is made once for all tests that run at a time.
    pub(crate) fn published() -> Arc<Self> {
        static SHARED: Mutex<Weak<Image>> = Mutex::new(Weak::new());
        Self::shared(&SHARED, Size::Large)
    }

    /// Returns the same without the layer of packages, likewise: for clients that pull again and again.
    pub(crate) fn small() -> Arc<Self> {
        static SHARED: Mutex<Weak<Image>> = Mutex::new(Weak::new());
        Self::shared(&SHARED, Size::Small)
    }

    fn shared(shared: &Mutex<Weak<Self>>, size: Size) -> Arc<Self> {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let image = Arc::new(Self::publish(size));
            *shared = Arc::downgrade(&image);
            image
        })
    }

    /// Makes the image and pushes it in both forms.
    fn publish(size: Size) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let programs = layout.layer("programs", &programs(folder.path()));
        let packages = match size {
            Size::Large => Some(layout.layer("packages", &packages(folder.path()))),
            Size::Small => None,
        };
        let manifests = ARCHITECTURES.map(|architecture| {
            let settings = layout.layer(architecture, &settings(folder.path(), architecture));
            let layers: Vec<&Layer> = [&programs, &settings]
                .into_iter()
                .chain(&packages)
                .collect();
            layout.manifest(architecture, &layers)
        });
        let index = layout.index(&manifests);

        let storage = folder.path().join("storage");
        let registry = Registry::start(&storage, Access::Writable, &Door::Open);
        let skopeo = Skopeo::new();
        let from = format!("oci:{}:1", layout.folder.display());
        for (tag, option) in [("1", "--preserve-digests"), ("docker", "--format=v2s2")] {
            let to = registry.reference(&format!("{REPOSITORY}:{tag}"));
            skopeo.copy(Platforms::All, &[option], &from, &to);
        }
        let pulled = skopeo.pull(
            Platforms::All,
            &registry.reference(&format!("{REPOSITORY}:1")),
        );

        let manifests = manifests.map(|manifest| digest_of(&manifest)).to_vec();
        let blobs = layout.blobs();
        Self {
            index,
            blobs: blobs
                .into_iter()
                .filter(|blob| *blob != index && !manifests.contains(blob))
                .collect(),
            manifests,
            large_layer: digest_of(&packages.as_ref().unwrap_or(&programs).descriptor),
            pulled,
            folder,
        }
    }

    /// Starts a registry that serves it.
    pub(crate) fn registry(&self) -> Registry {
        self.registry_behind(&Door::Open)
    }

    /// Starts a registry that serves it to those whom it lets in.
    pub(crate) fn registry_behind(&self, door: &Door) -> Registry {
        let storage = self.folder.path().join("storage");
        Registry::start(&storage, Access::ReadOnly, door)
    }

    /// Starts a registry of its own that serves it: its tags can be moved.
    pub(crate) fn registry_of_its_own(&self) -> Registry {
        Registry::over_a_copy(&self.folder.path().join("storage"))
    }

    /// Returns the digest of the OCI index.
    pub(crate) fn index(&self) -> Digest {
        self.index
    }

    /// Returns the digests of the manifests of the platforms, in the order of [`ARCHITECTURES`].
    pub(crate) fn manifests(&self) -> &[Digest] {
        &self.manifests
    }

    /// Returns the digests of all configurations and layers of all platforms.
    pub(crate) fn blobs(&self) -> &[Digest] {
        &self.blobs
    }

    /// Returns the layer that is nearly all of it.
    pub(crate) fn large_layer(&self) -> Digest {
        self.large_layer
    }

    /// Returns what a pull of tag `1` for all platforms brought, straight from the registry.
    pub(crate) fn pulled(&self) -> &Content {
        &self.pulled
    }

    /// Returns the requests that this pull needs when nothing is asked for twice, in alphabetical order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests_after(&[format!("GET /v2/{REPOSITORY}/manifests/1")])
    }

    /// Returns the requests that a pull for all platforms needs which finds the index by these, in alphabetical order.
    pub(crate) fn requests_after(&self, index: &[String]) -> Vec<String> {
        let manifests = self.manifests.iter().map(|it| format!("manifests/{it}"));
        let blobs = self.blobs.iter().map(|it| format!("blobs/{it}"));
        let mut requests: Vec<String> = manifests
            .chain(blobs)
            .map(|path| format!("GET /v2/{REPOSITORY}/{path}"))
            .chain(index.iter().cloned())
            .collect();
        requests.sort();
        requests
    }
}

/// The first layer: busybox, and a link to it for each of its commands.
fn programs(folder: &Path) -> Vec<String> {
    let root = folder.join("programs");
    let bin = root.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    let commands = output(Command::new("/bin/busybox").arg("--list"));
    for command in commands.lines().filter(|command| *command != "busybox") {
        symlink("busybox", bin.join(command)).unwrap();
    }
    everything_in(&root)
}

/// The second layer, another one for each platform.
fn settings(folder: &Path, architecture: &str) -> Vec<String> {
    let root = folder.join(format!("settings-{architecture}"));
    let etc = root.join("etc");
    fs::create_dir_all(&etc).unwrap();
    fs::write(etc.join("passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(etc.join("group"), "root:x:0:\n").unwrap();
    fs::write(etc.join("architecture"), architecture).unwrap();
    everything_in(&root)
}

/// The third layer: what some packages have under `/usr`.
fn packages(folder: &Path) -> Vec<String> {
    let listed = output(Command::new("dpkg").arg("--listfiles").args(PACKAGES));
    let mut files: Vec<&str> = listed
        .lines()
        .filter(|path| path.starts_with("/usr/") && Path::new(path).symlink_metadata().is_ok())
        .map(|path| path.trim_start_matches('/'))
        .collect();
    files.sort_unstable();
    files.dedup();
    let list = folder.join("packages");
    fs::write(&list, files.join("\n")).unwrap();
    vec![
        "--directory=/".into(),
        "--no-recursion".into(),
        format!("--files-from={}", list.display()),
    ]
}

/// Returns what makes `tar` pack a whole folder.
fn everything_in(root: &Path) -> Vec<String> {
    vec![format!("--directory={}", root.display()), ".".into()]
}

/// An OCI image layout (image-spec, image-layout.md).
struct Layout {
    folder: PathBuf,
}

/// A layer as a manifest and as a configuration name it.
struct Layer {
    descriptor: Value,
    uncompressed: Digest,
}

impl Layout {
    fn new(folder: &Path) -> Self {
        let folder = folder.join("layout");
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        fs::write(
            folder.join("oci-layout"),
            json!({ "imageLayoutVersion": "1.0.0" }).to_string(),
        )
        .unwrap();
        Self { folder }
    }

    /// Packs files into a layer; the same files give the same bytes.
    fn layer(&self, name: &str, files: &[String]) -> Layer {
        let packed = self.folder.with_file_name(format!("{name}.tar"));
        let always =
            "--create --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner";
        let mut tar = Command::new("tar");
        tar.args(always.split(' ')).arg("--file").arg(&packed);
        output(tar.args(files));
        let mut gzip = Command::new("gzip");
        output(gzip.args(["--no-name", "--fast", "--keep"]).arg(&packed));
        let layer = Layer {
            uncompressed: sha256(&fs::read(&packed).unwrap()),
            descriptor: self.add(
                "application/vnd.oci.image.layer.v1.tar+gzip",
                &fs::read(packed.with_extension("tar.gz")).unwrap(),
            ),
        };
        fs::remove_file(packed).unwrap();
        layer
    }

    /// Adds the manifest of a platform, with its configuration.
    fn manifest(&self, architecture: &str, layers: &[&Layer]) -> Value {
        let uncompressed: Vec<Digest> = layers.iter().map(|layer| layer.uncompressed).collect();
        let layers: Vec<&Value> = layers.iter().map(|layer| &layer.descriptor).collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Cmd": ["/bin/sh"] },
            "rootfs": { "type": "layers", "diff_ids": uncompressed },
        });
        let config = self.add(
            "application/vnd.oci.image.config.v1+json",
            config.to_string().as_bytes(),
        );
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers,
        });
        let mut descriptor = self.add(media_type, manifest.to_string().as_bytes());
        descriptor["platform"] = json!({ "architecture": architecture, "os": "linux" });
        descriptor
    }

    /// Adds the index of the platforms and names it `1`.
    fn index(&self, manifests: &[Value]) -> Digest {
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
        let mut descriptor = self.add(media_type, index.to_string().as_bytes());
        let digest = digest_of(&descriptor);
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
        let entry = json!({ "schemaVersion": 2, "manifests": [descriptor] });
        fs::write(self.folder.join("index.json"), entry.to_string()).unwrap();
        digest
    }

    /// Adds a blob and returns its descriptor.
    fn add(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        fs::write(self.folder.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// Returns the digests of all blobs in it.
    fn blobs(&self) -> Vec<Digest> {
        fs::read_dir(self.folder.join("blobs/sha256"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|hex| format!("sha256:{hex}").parse().unwrap())
            .collect()
    }
}

/// Returns the digest that a descriptor names.
fn digest_of(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

/// Runs a command to its end and returns what it printed.
fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
