//! Talos Linux: mirrors in the configuration of a machine. The name of the registry stands in the path, so that larder
//! knows it from whichever part of Talos pulls.

use super::arguments::Way;
use super::file::{ClientFile, Note, Syntax};
use super::plan::{Coverage, Plan};
use super::yaml::{Key, Yaml};

/// Returns a patch for the configuration of a machine.
pub(super) fn files(plan: &Plan) -> Vec<ClientFile> {
    let mut notes = vec![
        Note::prose(
            "Patch the machines with it. A machine restarts only if its version of Talos needs that:",
        ),
        Note::Code("talosctl --nodes NODE patch machineconfig --patch @larder.yaml"),
        plan.way_note(),
        Note::prose(others(plan)),
    ];
    notes.extend(plan.loopback_note("the machine"));
    let mut registries = vec![(Key::Known("mirrors"), mirrors(plan))];
    if let Some(certificates) = &plan.certificates {
        let tls = Yaml::keyed("tls", Yaml::keyed("ca", Yaml::text(certificates.base64())));
        let larder = Key::Data(plan.larder.authority().to_owned());
        registries.push((Key::Known("config"), Yaml::Map(vec![(larder, tls)])));
    }
    let machine = Yaml::keyed("registries", Yaml::Map(registries));
    vec![ClientFile {
        path: "larder.yaml".to_owned(),
        syntax: Syntax::Commented,
        notes,
        body: Yaml::keyed("machine", machine).file(),
    }]
}

fn mirrors(plan: &Plan) -> Yaml {
    let larder = plan.larder.text();
    let mut mirrors: Vec<(Key, Yaml)> = Vec::new();
    for name in &plan.upstreams {
        let mut mirror = vec![
            endpoint(format!("{larder}/v2/{name}")),
            (Key::Known("overridePath"), Yaml::True),
        ];
        mirror.extend(no_fallback(plan.way));
        mirrors.push((Key::Data(name.to_string()), Yaml::Map(mirror)));
    }
    if let Coverage::All(_) = &plan.coverage {
        // The name of the registry is not known here, and comes as the parameter ns.
        let mut mirror = vec![endpoint(larder)];
        mirror.extend(no_fallback(plan.way));
        mirrors.push((Key::Data("*".to_owned()), Yaml::Map(mirror)));
    }
    Yaml::Map(mirrors)
}

fn endpoint(url: String) -> (Key, Yaml) {
    (Key::Known("endpoints"), Yaml::List(vec![Yaml::Text(url)]))
}

fn no_fallback(way: Way) -> Option<(Key, Yaml)> {
    match way {
        Way::Fallback => None,
        Way::Strict => Some((Key::Known("skipFallback"), Yaml::True)),
    }
}

fn others(plan: &Plan) -> &'static str {
    match (&plan.coverage, plan.way) {
        (Coverage::All(_), Way::Fallback) => {
            "\"*\" is for every other registry. Those that larder does not know it refuses, and the machine goes on to the \
             registry itself."
        }
        (Coverage::All(_), Way::Strict) => {
            "\"*\" is for every other registry. Those that larder does not know cannot be pulled from at all, also for the \
             parts of Talos itself."
        }
        (Coverage::Chosen, _) => "Other registries are reached as before.",
    }
}
