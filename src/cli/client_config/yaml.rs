//! Writes the little YAML that clients want. Every text that is not a key of ours is quoted, so that none can be read as
//! something else.

/// A value of a YAML file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Yaml {
    /// A text.
    Text(String),
    /// A yes; there is no need of a no.
    True,
    /// Lines, written as they are.
    Block(&'static str),
    /// Values in order.
    List(Vec<Yaml>),
    /// Keys with values, in order.
    Map(Vec<(Key, Yaml)>),
}

/// A key of a YAML map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// One that the client defines: letters only.
    Known(&'static str),
    /// One that is data.
    Data(String),
}

impl Yaml {
    /// Makes a text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a map of one key that the client defines.
    pub(super) fn keyed(key: &'static str, value: Self) -> Self {
        Self::Map(vec![(Key::Known(key), value)])
    }

    /// Returns the file whose value this is.
    pub(super) fn file(&self) -> String {
        let mut file = String::new();
        self.write(&mut file, 0);
        file
    }

    /// Writes the value in lines of its own.
    fn write(&self, to: &mut String, depth: usize) {
        let indent = "  ".repeat(depth);
        match self {
            Self::Text(text) => to.push_str(&format!("{indent}{}\n", quoted(text))),
            Self::True => to.push_str(&format!("{indent}true\n")),
            Self::Block(text) => {
                for line in text.lines() {
                    to.push_str(&format!("{indent}{line}\n"));
                }
            }
            Self::List(values) => {
                for value in values {
                    let mut lines = String::new();
                    value.write(&mut lines, depth + 1);
                    let head = match value {
                        Self::Block(_) => "- |-\n".to_owned() + &lines,
                        Self::Text(_) | Self::True | Self::List(_) | Self::Map(_) => {
                            "- ".to_owned() + lines.trim_start()
                        }
                    };
                    to.push_str(&(indent.clone() + &head));
                }
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    let key = match key {
                        Key::Known(key) => (*key).to_owned(),
                        Key::Data(key) => quoted(key),
                    };
                    to.push_str(&format!("{indent}{key}:"));
                    value.write_behind_key(to, depth);
                }
            }
        }
    }

    /// Writes the value of a key, in its line where there is room for it.
    fn write_behind_key(&self, to: &mut String, depth: usize) {
        match self {
            Self::Text(_) | Self::True => {
                to.push(' ');
                self.write(to, 0);
            }
            Self::Block(_) => {
                to.push_str(" |-\n");
                self.write(to, depth + 1);
            }
            Self::List(_) | Self::Map(_) => {
                to.push('\n');
                self.write(to, depth + 1);
            }
        }
    }
}

/// Quotes a text. The strings of JSON are strings of YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_for_something_else() {
        let list = vec![
            Yaml::text("no"),
            Yaml::text("1:20"),
            Yaml::text("a: \"b\" # \\\n- c"),
            Yaml::Block("[a]\n  b = 1"),
            Yaml::Map(vec![
                (Key::Known("name"), Yaml::text("x")),
                (Key::Data("*".to_owned()), Yaml::True),
            ]),
        ];
        let yaml = Yaml::keyed("top", Yaml::keyed("list", Yaml::List(list)));
        let expected = r##"top:
  list:
    - "no"
    - "1:20"
    - "a: \"b\" # \\\n- c"
    - |-
      [a]
        b = 1
    - name: "x"
      "*": true
"##;
        assert_eq!(yaml.file(), expected);
    }
}
