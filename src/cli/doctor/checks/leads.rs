//! Whether a client's requests lead to the registry that it means. larder is asked by a method that it takes nowhere: it
//! says first where the name leads, and then that it does not take the method, so that no registry is asked.

use http::{Method, StatusCode};

use super::shown;
use crate::addressing::Origin;
use crate::cli::doctor::ask::{Asked, Door, Reply};
use crate::cli::doctor::finding::{Finding, Subject};
use crate::cli::doctor::way::{Naming, Said, Scope, Way};
use crate::oci::UpstreamName;

/// What is asked for, of a repository that need not exist.
const REPOSITORY: &str = "larder/doctor";
const PART: &str = "manifests/latest";
/// What stands before the repository where no registry is named.
const UNSAID: &str = "/v2";

/// Asks where the requests of the clients lead. What is right is told once a client.
pub(super) async fn look(door: &Door, ways: &[Way], findings: &mut Vec<Finding>) {
    let mut right: Vec<(&Way, Vec<String>)> = Vec::new();
    for way in ways {
        let Some((origin, target)) = sample(way) else {
            continue;
        };
        let Ok(reply) = door.ask(Asked::short(&Method::OPTIONS, &target)).await else {
            continue;
        };
        if reply.status != StatusCode::METHOD_NOT_ALLOWED {
            findings.push(astray(door, way, &origin, &reply).at(&way.spot));
            continue;
        }
        if let Some(other) = elsewhere(way, &reply, &origin) {
            findings.push(mistaken(door, way, &origin, &other).at(&way.spot));
            continue;
        }
        let scope = way.scope.shown();
        match right.iter_mut().find(|(it, _)| it.client == way.client) {
            Some((_, scopes)) => scopes.push(scope),
            None => right.push((way, vec![scope])),
        }
    }
    let address = shown(door);
    findings.extend(right.into_iter().map(|(way, scopes)| {
        let (client, scopes) = (way.client.name(), scopes.join(", "));
        let message = format!("what {client} asks {address} leads to the right registry: {scopes}");
        Finding::good(Subject::Registry, message)
    }));
}

/// Says that a client's requests do not lead where they should.
fn astray(door: &Door, way: &Way, origin: &Origin, reply: &Reply) -> Finding {
    let address = shown(door);
    let (client, name) = (way.client.name(), &origin.upstream);
    let message = format!("{client} asks {address} for images of {name}, and larder says {reply}");
    let remedy = match reply.status {
        StatusCode::FORBIDDEN => format!(
            "add an [[upstream]] with name = \"{name}\" to the configuration of larder, or take larder out of the client's \
             configuration for it"
        ),
        StatusCode::NOT_FOUND => format!(
            "set default_upstream = \"{name}\" in [server] of larder, or put {name} in front of the name there"
        ),
        _ => "write the files of this client anew with `larder client-config`".to_owned(),
    };
    Finding::fault(Subject::Registry, message, remedy)
}

/// Returns where a name led, as larder says it, of which the client did not say the registry and meant another. A larder that
/// does not tell is taken to be right; so is what the client says, which may be an alias.
fn elsewhere(way: &Way, reply: &Reply, origin: &Origin) -> Option<String> {
    let is_said = way.naming == Naming::Parameter || way.path != UNSAID;
    let led = reply.detail().filter(|_| !is_said)?;
    (led != origin.to_string()).then_some(led)
}

/// Says that a client is given the images of another registry.
fn mistaken(door: &Door, way: &Way, origin: &Origin, other: &str) -> Finding {
    let (address, client, name) = (shown(door), way.client.name(), &origin.upstream);
    let message = format!(
        "{client} asks {address} for images of {name} without saying so, and larder takes them for those of another \
         registry: {origin} leads to {other}"
    );
    let remedy = format!(
        "set default_upstream = \"{name}\" in [server] of larder; or where that is to stay as it is, write the files of this \
         client anew with `larder client-config`, or take larder out of them"
    );
    Finding::fault(Subject::Registry, message, remedy)
}

/// Makes up a repository for which a client would ask. `None` where the client asks for no particular registry, or
/// for another one.
fn sample(way: &Way) -> Option<(Origin, String)> {
    // Of others it is known already that they do not lead where they should.
    if way.said() != Said::Enough {
        return None;
    }
    let Scope::Registry { name, beginning } = &way.scope else {
        return None;
    };
    let upstream: UpstreamName = name.parse().ok()?;
    let repository = match beginning.is_empty() {
        true => REPOSITORY.to_owned(),
        false => format!("{beginning}/{REPOSITORY}"),
    };
    let origin = Origin {
        upstream,
        repository: repository.parse().ok()?,
    };
    let target = way.target(&origin, PART)?;
    Some((origin, target))
}
