//! Blocks keep to their languages: larder takes what is for it, and the rest can be read.

use std::fs;
use std::path::Path;

use saphyr_parser::Parser;

use super::{Block, Language, blocks};
use crate::deploy::configuration::check;
use crate::support::Authority;

/// A configuration of larder names files. Here are some, so that it can be looked at.
struct Files {
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let authority = Authority::new();
        authority.write(&authority.vouch());
        fs::write(authority.path("ca.pem"), authority.pem()).unwrap();
        fs::write(authority.path("auth.json"), "{}").unwrap();
        fs::write(authority.path("secret"), "0123456789abcdef").unwrap();
        Self { authority }
    }

    /// Returns the file here that is of the same kind as the one that a key names.
    fn of_kind(&self, key: &str) -> String {
        let name = match key {
            "ca_file" | "client_ca_file" => "ca.pem",
            "cert_file" | "client_cert_file" => "cert.pem",
            "key_file" | "client_key_file" => "key.pem",
            "auth_file" | "auth_files" => "auth.json",
            _ => "secret",
        };
        self.authority.path(name).display().to_string()
    }

    /// Puts files that are here in the place of those that a configuration names.
    fn put_into(&self, key: &str, value: &mut toml::Value) {
        match value {
            toml::Value::String(path) if Path::new(path).is_absolute() && key.contains("_file") => {
                *path = self.of_kind(key);
            }
            toml::Value::Array(values) => {
                values.iter_mut().for_each(|it| self.put_into(key, it));
            }
            toml::Value::Table(table) => {
                table
                    .iter_mut()
                    .for_each(|(key, it)| self.put_into(key, it));
            }
            _ => (),
        }
    }
}

/// Returns whether a block is a file of somebody else, whose path its first line says.
fn is_for_others(block: &Block) -> bool {
    let comment = block.first_line().strip_prefix("# ");
    let path = comment.filter(|it| it.ends_with(".toml") || it.ends_with(".conf"));
    path.is_some_and(|it| !it.contains(' ') && !it.ends_with("larder.toml"))
}

/// Says what is wrong with units of systemd and their like: sections, and keys with values in them.
fn ini(text: &str) -> Result<(), String> {
    let mut is_in_section = false;
    for line in text.lines().map(str::trim) {
        let is_heading = line.starts_with('[') && line.ends_with(']');
        let is_comment = line.is_empty() || line.starts_with(['#', ';']);
        let has_key = line.split_once('=').is_some_and(|(key, _)| !key.is_empty());
        if !(is_heading || is_comment || is_in_section && has_key) {
            return Err(line.to_owned());
        }
        is_in_section |= is_heading;
    }
    Ok(())
}

/// Says what is wrong with documents in YAML.
fn yaml(text: &str) -> Result<(), String> {
    let mut events = Parser::new_from_str(text);
    events.try_for_each(|event| event.map(drop).map_err(|error| error.to_string()))
}

/// Says what is wrong with a block. For shells and Prometheus, programs have to say it.
fn read(block: &Block) -> Result<(), String> {
    let text = &block.text;
    match block.language {
        Language::Toml => text
            .parse::<toml::Table>()
            .map(drop)
            .map_err(|it| it.to_string()),
        Language::Yaml => yaml(text),
        Language::Json => {
            let read = serde_json::from_str::<serde_json::Value>(text);
            read.map(drop).map_err(|it| it.to_string())
        }
        Language::Ini => ini(text),
        Language::Shell | Language::PromQl | Language::Text => Ok(()),
    }
}

#[test]
fn every_block_can_be_read() {
    let faults = blocks().into_iter().filter_map(|block| {
        let fault = read(&block).err()?;
        Some(format!("{block}: {fault}"))
    });
    assert_eq!(faults.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn larder_takes_what_is_for_it() {
    let files = Files::new();
    let mut checked = 0;
    for block in blocks() {
        if block.language == Language::Toml && !is_for_others(&block) {
            let mut table: toml::Table = block.text.parse().unwrap();
            for (key, value) in &mut table {
                files.put_into(key, value);
            }
            let said = check(&table.to_string(), &[]);
            assert!(said.contains("docker.io"), "{block}: {said}");
            checked += 1;
        }
    }
    assert!(checked > 2, "{checked}");
}

#[test]
fn what_cannot_be_read_is_noticed() {
    let block = |language, text: &str| Block {
        document: super::Document::Larder,
        line: 1,
        language,
        text: text.to_owned(),
    };
    for (language, right, wrong) in [
        (Language::Toml, "a = 1\n", "a = \n"),
        (Language::Yaml, "a: 1\n---\n- b\n", "a: [1\n"),
        (Language::Json, "{\"a\": 1}\n", "{a: 1}\n"),
        (Language::Ini, "# b\n[a]\nb=1\n\nc=\n", "b=1\n"),
        (Language::Ini, "[a]\n", "[a]\nwords\n"),
    ] {
        assert_eq!(read(&block(language, right)), Ok(()), "{right}");
        read(&block(language, wrong)).unwrap_err();
    }
    for (first, is_theirs) in [
        ("# /etc/containers/registries.conf", true),
        ("# /etc/containerd/certs.d/_default/hosts.toml", true),
        ("# /etc/larder/larder.toml", false),
        ("# for the file hosts.toml", false),
        ("[server]", false),
    ] {
        let block = block(Language::Toml, &format!("{first}\na = 1\n"));
        assert_eq!(is_for_others(&block), is_theirs, "{first}");
    }
}
