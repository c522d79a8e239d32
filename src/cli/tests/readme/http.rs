//! What the README says of the doors, from the tables by which they answer.

use http::StatusCode;

use super::{Table, assert_written, code};
use crate::admin::{door, routes};
use crate::oci::ErrorCode;
use crate::server::failure::{self, Again, Code};
use crate::server::route_table;

#[test]
fn the_readme_has_each_path_of_the_registry_as_it_is() {
    let mut table = Table::new(&["methods", "path", "what it answers with", "statuses"]);
    for entry in route_table::TABLE {
        let methods = match entry.methods.allowed() {
            "" => "none",
            methods => methods,
        };
        let path = code(entry.path);
        table.row(&[methods, &path, entry.answer, &numbers(entry.statuses)]);
    }
    assert_written("registry paths", &table.0);
}

#[test]
fn the_readme_has_each_path_of_the_operator_as_it_is() {
    let mut table = Table::new(&["method", "path", "body", "what it does"]);
    for operation in &routes::OPERATIONS {
        let bodies: Vec<String> = operation.bodies.iter().map(|body| code(body)).collect();
        table.row(&[
            operation.method.as_str(),
            &code(operation.path),
            &bodies.join(" or "),
            operation.answer,
        ]);
    }
    assert_written("operator paths", &table.0);
}

#[test]
fn the_readme_has_each_path_of_health_and_metrics_as_it_is() {
    let mut table = Table::new(&["methods", "path", "what it answers", "statuses"]);
    for page in &door::PAGES {
        let paths: Vec<String> = page.paths.iter().map(|path| code(path)).collect();
        table.row(&[
            "GET, HEAD",
            &paths.join(", "),
            page.answer,
            &numbers(page.statuses),
        ]);
    }
    assert_written("health paths", &table.0);
}

#[test]
fn the_readme_has_each_failure_as_it_is() {
    let mut table = Table::new(&["status", "code", "`Retry-After`", "when"]);
    for failure in failure::TABLE {
        let codes = match failure.code {
            Code::Always(code) => vec![code],
            Code::Absence => Code::ABSENCES.to_vec(),
        };
        let codes: Vec<String> = codes.into_iter().map(written).collect();
        let again = match failure.again {
            Again::Unsaid => String::new(),
            Again::Soon => format!("{} s", failure::SOON.as_secs()),
            Again::Known => "until it ends".to_owned(),
        };
        let status = failure.status.as_str();
        table.row(&[status, &codes.join(", "), &again, failure.when]);
    }
    assert_written("failures", &table.0);
}

/// Writes a code as bodies have it.
fn written(error: ErrorCode) -> String {
    let json = serde_json::to_string(&error).unwrap();
    code(json.trim_matches('"'))
}

/// Writes statuses as numbers.
fn numbers(statuses: &[StatusCode]) -> String {
    let numbers: Vec<&str> = statuses.iter().map(StatusCode::as_str).collect();
    numbers.join(", ")
}
