//! Doors: TLS, proxies, and sockets that are open already.

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::admin;
use crate::server::{Proxies, ProxyProtocol, TlsSettings};

/// Writes a certificate and its key to `NAME.pem` and `NAME.key`.
fn write_pair(folder: &Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![format!("{name}.test")]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// A folder with the pairs `a` and `b`, and a configuration with this text.
fn folder(text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    write_pair(folder.path(), "a");
    write_pair(folder.path(), "b");
    fs::write(folder.path().join("larder.toml"), text).unwrap();
    folder
}

fn load_in(folder: &TempDir, variables: &[(&str, &str)]) -> Result<Loaded, Faults> {
    let surroundings = Surroundings {
        working_folder: folder.path().to_owned(),
        ..surroundings(variables)
    };
    load(&Flags::default(), &surroundings)
}

#[test]
fn every_key_of_the_doors_arrives() {
    let folder = folder(
        "[server]\n\
         trusted_proxies = [\"10.0.0.0/8\", \"::ffff:192.0.2.1\"]\n\
         proxy_protocol = true\n\
         [server.tls]\n\
         listen = \"0.0.0.0:5443\"\n\
         cert_file = \"a.pem\"\n\
         key_file = \"a.key\"\n\
         client_ca_file = \"b.pem\"\n",
    );
    let path = |name: &str| folder.path().join(name);
    let expected = TlsSettings {
        listen: Some("0.0.0.0:5443".parse().unwrap()),
        cert_file: path("a.pem"),
        key_file: path("a.key"),
        client_ca_file: Some(path("b.pem")),
    };
    let server = load_in(&folder, &[]).unwrap().settings.server;
    assert_eq!(server.tls, Some(expected));
    let expected = Proxies {
        trusted: ["10.0.0.0/8", "192.0.2.1/32"]
            .map(|network| network.parse().unwrap())
            .to_vec(),
        protocol: ProxyProtocol::Required,
    };
    assert_eq!(server.proxies, expected);
    // A variable for one key leaves the others.
    let b = path("b.pem");
    let variables = [
        ("LARDER_SERVER__TLS__CERT_FILE", b.to_str().unwrap()),
        ("LARDER_SERVER__TLS__KEY_FILE", "b.key"),
        ("LARDER_SERVER__TRUSTED_PROXIES", "192.0.2.7, 2001:db8::/32"),
    ];
    let loaded = load_in(&folder, &variables).unwrap();
    let tls = loaded.settings.server.tls.unwrap();
    assert_eq!(
        (tls.cert_file, tls.key_file),
        (path("b.pem"), path("b.key"))
    );
    assert_eq!(tls.client_ca_file, Some(path("b.pem")));
    assert_eq!(loaded.settings.server.proxies.trusted.len(), 2);
}

#[test]
fn mistakes_of_doors() {
    let certificate = |keys: &str| format!("[server.tls]\n{keys}\n");
    let whole = "cert_file = \"a.pem\"\nkey_file = \"a.key\"\n";
    let mistakes = [
        certificate(""),
        certificate("cert_file = \"a.pem\""),
        certificate("key_file = \"a.key\"\nlisten = \"5443\""),
        certificate("cert_file = \"a.pem\"\nkey_file = \"b.key\""),
        certificate("cert_file = \"a.key\"\nkey_file = \"a.pem\""),
        certificate(
            "cert_file = \"none.pem\"\nkey_file = \"none.key\"\nclient_ca_file = \"a.key\"",
        ),
        certificate(&format!("{whole}ca_file = \"b.pem\"")),
        certificate(&format!("{whole}listen = \"0.0.0.0:5000\"")),
        format!(
            "[server]\nmetrics_listen = \"[::]:5443\"\n{}",
            certificate(&format!("{whole}listen = \"127.0.0.1:5443\""))
        ),
        format!(
            "{}[[upstream]]\nname = \"a.example\"\nendpoints = [\"https://localhost:5443\"]\n",
            certificate(&format!("{whole}listen = \"0.0.0.0:5443\""))
        ),
        "[server]\nproxy_protocol = true\n".to_owned(),
        "[server]\nproxy_protocol = true\ntrusted_proxies = []\n".to_owned(),
        "[server]\ntrusted_proxies = [\"10.0.0.0/33\", \"lb.example\"]\n".to_owned(),
    ];
    let show = |text: &String| {
        let folder = folder(text);
        let faults = load_in(&folder, &[]).expect_err(text).to_string();
        let faults = faults.replace(folder.path().to_str().unwrap(), "FOLDER");
        let text = text.trim_end().replace('\n', "\n    ");
        format!("    {text}\n\n{faults}\n")
    };
    let shown: Vec<String> = mistakes.iter().map(show).collect();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("mistakes_of_doors", shown.join("\n----\n\n"));
    });
}

/// The configuration of a door for commands, and a folder with tokens.
fn commands(text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("token"), "0123456789abcdef\n").unwrap();
    fs::write(folder.path().join("short"), "0123456789\n").unwrap();
    fs::write(folder.path().join("larder.toml"), text).unwrap();
    folder
}

#[test]
fn every_key_of_the_door_for_commands_arrives() {
    let folder = commands("[admin]\nlisten = \"127.0.0.1:5002\"\ntoken_file = \"token\"\n");
    let loaded = load_in(&folder, &[]).unwrap();
    let mut expected = admin::Settings {
        listen: "127.0.0.1:5002".parse().unwrap(),
        token_file: folder.path().join("token"),
    };
    assert_eq!(loaded.settings.admin, Some(expected.clone()));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let variables = [("LARDER_ADMIN__LISTEN", "0.0.0.0:5003")];
    let loaded = load_in(&folder, &variables).unwrap();
    expected.listen = "0.0.0.0:5003".parse().unwrap();
    assert_eq!(loaded.settings.admin, Some(expected));
    assert!(
        loaded.warnings[0].contains("there is no TLS"),
        "{:?}",
        loaded.warnings
    );
    // Each key alone, elsewhere than in the file.
    let nothing = commands("");
    let variables = [
        ("LARDER_ADMIN__LISTEN", "127.0.0.1:0"),
        ("LARDER_ADMIN__TOKEN_FILE", "token"),
    ];
    let loaded = load_in(&nothing, &variables).unwrap();
    let token_file = loaded.settings.admin.unwrap().token_file;
    assert_eq!(token_file, nothing.path().join("token"));
}

#[test]
fn mistakes_of_the_door_for_commands() {
    let whole = |listen: &str| format!("[admin]\nlisten = \"{listen}\"\ntoken_file = \"token\"\n");
    let mistakes = [
        "[admin]\nlisten = \"127.0.0.1:5002\"\n".to_owned(),
        "[admin]\ntoken_file = \"token\"\n".to_owned(),
        "[admin]\nlisten = \"5002\"\ntoken = \"0123456789abcdef\"\n".to_owned(),
        "[admin]\nlisten = \"127.0.0.1:5002\"\ntoken_file = \"none\"\n".to_owned(),
        "[admin]\nlisten = \"127.0.0.1:5002\"\ntoken_file = \"short\"\n".to_owned(),
        whole("127.0.0.1:5000"),
        format!(
            "[server]\nmetrics_listen = \"127.0.0.1:5001\"\n{}",
            whole("0.0.0.0:5001")
        ),
    ];
    let show = |text: &String| {
        let folder = commands(text);
        let faults = load_in(&folder, &[]).expect_err(text).to_string();
        let faults = faults.replace(folder.path().to_str().unwrap(), "FOLDER");
        assert!(!faults.contains("0123456789"), "{faults}");
        let text = text.trim_end().replace('\n', "\n    ");
        format!("    {text}\n\n{faults}\n")
    };
    let shown: Vec<String> = mistakes.iter().map(show).collect();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("mistakes_of_commands", shown.join("\n----\n\n"));
    });
}

#[test]
fn a_second_door_that_others_reach_counts_as_the_first_does() {
    let of = |listen: &str, beside: &str| {
        let folder = folder(&format!(
            "[server]\nlisten = \"{listen}\"\n[server.tls]\nlisten = \"{beside}\"\n\
             cert_file = \"a.pem\"\nkey_file = \"a.key\"\nclient_ca_file = \"b.pem\"\n"
        ));
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        let docker = folder.path().to_str().unwrap();
        load_in(&folder, &[("DOCKER_CONFIG", docker)]).unwrap()
    };
    let here = of("127.0.0.1:5000", "[::1]:5443");
    assert!(here.settings.is_for_this_machine());
    assert_eq!((here.auth_files.used.len(), here.warnings.len()), (1, 0));
    let beside = of("127.0.0.1:5000", "0.0.0.0:5443");
    assert!(!beside.settings.is_for_this_machine());
    assert!(beside.settings.has_certified_clients());
    assert_eq!(beside.auth_files.used, Vec::<PathBuf>::new());
    assert!(
        beside.warnings[0].contains("can reach 0.0.0.0:5443"),
        "{:?}",
        beside.warnings
    );
    let both = of("0.0.0.0:5000", "0.0.0.0:5443");
    assert!(!both.settings.has_certified_clients());
    let told = "clients at 0.0.0.0:5000 show no certificate";
    assert!(
        both.warnings
            .iter()
            .any(|warning| warning.starts_with(told)),
        "{:?}",
        both.warnings
    );
}

#[test]
fn sockets_that_are_open_count_before_everything_that_is_written() {
    let folder = folder("[server]\nlisten = \"127.0.0.1:5000\"\n");
    let mut surroundings = Surroundings {
        working_folder: folder.path().to_owned(),
        ..surroundings(&[("LARDER_SERVER__LISTEN", "127.0.0.1:5001")])
    };
    surroundings.sockets.registry = Some("0.0.0.0:80".parse().unwrap());
    surroundings.sockets.metrics = Some("[::1]:81".parse().unwrap());
    let loaded = load(&Flags::default(), &surroundings).unwrap();
    assert_eq!(loaded.settings.server.listen.to_string(), "0.0.0.0:80");
    assert_eq!(loaded.settings.metrics_listen, surroundings.sockets.metrics);
    assert!(!loaded.settings.is_for_this_machine());
    surroundings.sockets.registry_tls = Some("0.0.0.0:443".parse().unwrap());
    let faults = load(&Flags::default(), &surroundings).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "the socket registry-tls of LISTEN_FDS: cert_file and key_file are missing: TLS needs a certificate"
    );
}
