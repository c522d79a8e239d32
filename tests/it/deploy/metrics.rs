//! Alerts and dashboard ask for metrics that there are: those of the table in the README, which is checked against the code.

use std::collections::BTreeSet;

use serde_json::Value;

use super::file;

/// Returns the names of metrics in a text.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words
        .filter(|word| word.starts_with("larder_") || word.starts_with("process_"))
        .collect()
}

fn known() -> BTreeSet<&'static str> {
    let readme = include_str!("../../../README.md");
    let (_, table) = readme.split_once("| metric | type | labels |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let rows = table.lines().skip(2);
    rows.map(|row| row.split('`').nth(1).unwrap()).collect()
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let known = known();
    for (name, at_least) in [
        ("prometheus/alerts.yaml", 10),
        ("prometheus/alerts.test.yaml", 10),
        ("grafana/larder.json", 20),
    ] {
        let text = file(name);
        let asked = named(&text);
        assert!(asked.len() >= at_least, "{name}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
}

#[test]
fn every_alert_is_tested_both_ways_and_explained() {
    let rules = file("prometheus/alerts.yaml");
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- alert: "));
    let alerts: BTreeSet<&str> = alerts.collect();
    assert!(alerts.len() >= 9, "{alerts:?}");
    let cases = file("prometheus/alerts.test.yaml");
    let explained = file("README.md");
    for alert in alerts {
        let mark = format!("alertname: {alert}\n");
        let expected = cases.split(&mark).skip(1).map(str::trim_start);
        let (quiet, fires): (Vec<&str>, Vec<&str>) =
            expected.partition(|rest| rest.starts_with("exp_alerts: []"));
        assert!(!quiet.is_empty() && !fires.is_empty(), "{alert}");
        assert!(explained.contains(&format!("| `{alert}` |")), "{alert}");
    }
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: Value = serde_json::from_str(&file("grafana/larder.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels
        .iter()
        .map(|panel| panel["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
            let expression = target["expr"].as_str().unwrap();
            assert!(!named(expression).is_empty(), "{expression}");
            assert!(expression.contains("job=~\"$job\""), "{expression}");
        }
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables[0]["type"], "datasource");
}
