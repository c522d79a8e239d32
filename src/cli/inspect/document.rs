//! Reads what people want to know out of manifests and configs. Strangers wrote them: whatever has another shape than it
//! should is left out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::report::Config;

/// Configs that say how an image is run.
const IMAGE_CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// Tells whether a config is that of an image.
pub(super) fn is_image_config(media_type: &str) -> bool {
    IMAGE_CONFIGS.contains(&media_type)
}

/// The fields of a JSON object; none when it is something else.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a document.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self(serde_json::from_slice(bytes).unwrap_or_default())
    }

    fn of(value: Option<&Value>) -> Self {
        Self(
            value
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        )
    }

    /// Returns a text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = self.0.get(name)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Returns the texts among the entries of an object.
    pub(super) fn texts_by_name(&self, name: &str) -> BTreeMap<String, String> {
        let entries = self.0.get(name).and_then(Value::as_object).into_iter();
        entries
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    /// Returns the texts of a list; a text alone stands for a list of one.
    fn texts(&self, name: &str) -> Vec<String> {
        match self.0.get(name) {
            Some(Value::Array(entries)) => {
                let texts = entries.iter().filter_map(Value::as_str);
                texts.map(ToOwned::to_owned).collect()
            }
            Some(Value::String(text)) => vec![text.clone()],
            _ => Vec::new(),
        }
    }
}

/// Reads the config of an image.
pub(super) fn config(bytes: &[u8]) -> Config {
    let fields = Fields::read(bytes);
    let run = Fields::of(fields.0.get("config"));
    let ports = Fields::of(run.0.get("ExposedPorts"));
    Config {
        created: fields.text("created"),
        author: fields.text("author"),
        os: fields.text("os"),
        architecture: fields.text("architecture"),
        variant: fields.text("variant"),
        user: run.text("User"),
        entrypoint: run.texts("Entrypoint"),
        cmd: run.texts("Cmd"),
        env: run.texts("Env"),
        working_dir: run.text("WorkingDir"),
        exposed_ports: ports.0.keys().cloned().collect(),
        labels: run.texts_by_name("Labels"),
        history_length: fields
            .0
            .get("history")
            .and_then(Value::as_array)
            .map_or(0, Vec::len),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_config_is_read() {
        let document = json!({
            "created": "2024-05-22T18:18:12Z", "author": "Ada", "os": "linux", "architecture": "arm", "variant": "v7",
            "config": {
                "User": "1000", "Entrypoint": ["/init", "-x"], "Cmd": "serve", "Env": ["A=1", 7, "B="],
                "WorkingDir": "/srv", "ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "Labels": {"a": "b", "c": 7},
            },
            "history": [{}, {}],
        });
        let found = config(document.to_string().as_bytes());
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            found,
            Config {
                created: Some("2024-05-22T18:18:12Z".into()),
                author: Some("Ada".into()),
                os: Some("linux".into()),
                architecture: Some("arm".into()),
                variant: Some("v7".into()),
                user: Some("1000".into()),
                entrypoint: texts(&["/init", "-x"]),
                cmd: texts(&["serve"]),
                env: texts(&["A=1", "B="]),
                working_dir: Some("/srv".into()),
                exposed_ports: texts(&["53/udp", "80/tcp"]),
                labels: BTreeMap::from([("a".into(), "b".into())]),
                history_length: 2,
            }
        );
    }

    #[test]
    fn what_has_another_shape_is_left_out() {
        let odd = json!({"created": 7, "os": "", "config": {"User": null, "Env": {}, "Labels": []}, "history": {}});
        for text in [
            "",
            "[]",
            "null",
            "<html>",
            "{}",
            r#"{"config":null}"#,
            &odd.to_string(),
        ] {
            assert_eq!(config(text.as_bytes()), Config::default(), "{text}");
        }
    }
}
