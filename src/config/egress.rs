//! The proxies through which registries are reached, from the variables that curl and others read as well.

use std::sync::Arc;

use http::Uri;

use super::fault::{Faults, Place};
use super::surroundings::Surroundings;
use crate::upstream::Egress;

/// Reads the variables. As with curl, the name in lower case wins, and `ALL_PROXY` stands for those that are not set.
pub(super) fn egress(surroundings: &Surroundings, faults: &mut Faults) -> Egress {
    let mut variables = Variables {
        surroundings,
        faults,
    };
    let all = ["all_proxy", "ALL_PROXY"];
    Egress {
        http: variables.proxy([["http_proxy", "HTTP_PROXY"], all]),
        https: variables.proxy([["https_proxy", "HTTPS_PROXY"], all]),
        except: variables
            .text(["no_proxy", "NO_PROXY"])
            .map(|(_, text)| text.into()),
    }
}

struct Variables<'a> {
    surroundings: &'a Surroundings,
    faults: &'a mut Faults,
}

impl<'a> Variables<'a> {
    /// Reads the first that is set as the address of a proxy. What is wrong is not repeated: it may hold a password.
    fn proxy(&mut self, names: [[&'static str; 2]; 2]) -> Option<Arc<str>> {
        let (name, text) = names.into_iter().find_map(|names| self.text(names))?;
        let url = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        if !is_proxy(&url) {
            let message = "this is no proxy that larder can use (it is not shown, it could hold a password): write \
                http://host:port or https://host:port";
            let place = Place::Variable(name.to_owned());
            self.faults.push(place, message);
            return None;
        }
        Some(url.into())
    }

    /// Returns the first that is set and not empty, and its name.
    fn text(&mut self, names: [&'static str; 2]) -> Option<(&'static str, &'a str)> {
        let surroundings = self.surroundings;
        let set = |name| Some((name, surroundings.variable(name)?));
        let (name, value) = names.into_iter().find_map(set)?;
        let text = value.to_str().map(str::trim);
        if text.is_none() {
            let place = Place::Variable(name.to_owned());
            self.faults.push(place, "this is not UTF-8");
        }
        Some((name, text?)).filter(|(_, text)| !text.is_empty())
    }
}

fn is_proxy(text: &str) -> bool {
    let Ok(url) = text.parse::<Uri>() else {
        return false;
    };
    let is_known = matches!(url.scheme_str(), Some("http" | "https"));
    is_known && url.host().is_some_and(|host| !host.is_empty())
}
