//! The folders in which docker and podman keep, for each registry, whom they trust: `certs.d/<host:port>`.

use std::path::{Path, PathBuf};

use super::Told;
use crate::cli::doctor::finding::{Finding, Spot, Subject};
use crate::cli::doctor::way::Trust;

/// Finds the files for a registry in the first folder that has some.
pub(super) fn trust(
    told: &mut Told,
    client: Subject,
    folders: &[PathBuf],
    authority: &str,
) -> Trust {
    for folder in folders {
        let folder = folder.join(authority);
        let names = told.list(client, &folder);
        let mut trust = Trust::default();
        for name in &names {
            let path = folder.join(name);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => trust.authorities.push(path),
                Some("cert") => pair(told, client, &path, &names, &mut trust),
                _ => {}
            }
        }
        if trust != Trust::default() {
            return trust;
        }
    }
    Trust::default()
}

/// Takes the certificate that a client shows. Its key has the same name.
fn pair(told: &mut Told, client: Subject, path: &Path, names: &[String], trust: &mut Trust) {
    let key = path.with_extension("key");
    let is_there = key
        .file_name()
        .is_some_and(|key| names.iter().any(|name| key == name.as_str()));
    if is_there {
        trust.certificate = Some((path.to_owned(), key));
        return;
    }
    let message = "a certificate that the client would show has no key beside it";
    let remedy = "files that end in .cert need one of the same name that ends in .key; the certificate of an authority \
                  has to end in .crt";
    told.find(Finding::fault(client, message, remedy).at(&Spot::file(path)));
}

/// Says of files of certificates that are named and not there that they are not.
pub(super) fn missing(told: &mut Told, client: Subject, files: &[PathBuf], spot: &Spot) {
    for file in files {
        if let Ok(false) = file.try_exists() {
            let message = format!(
                "the file {} is named there and does not exist",
                file.display()
            );
            let remedy = "put the certificates of larder's authority there: `larder client-config` with --ca-file does";
            told.find(Finding::fault(client, message, remedy).at(spot));
        }
    }
}
