//! What a `WWW-Authenticate` header asks for (RFC 9110, section 11.6.1).
//!
//! All lines together are one list, and its elements are challenges, or parameters of the challenge before them. Servers
//! write it badly, so that what can be read is read: an element that cannot be is left out up to the next comma. When it
//! may have begun another challenge, the parameters behind it are left out as well, as nobody knows whose they are. A
//! quoted string is never broken into: one without an end takes the rest of its line with it.

/// One way in that a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme as it is written, such as `Bearer`.
    pub scheme: String,
    /// What comes with it.
    pub content: ChallengeContent,
}

/// What comes with the scheme of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeContent {
    /// A single value, as of `Negotiate`.
    Token68(String),
    /// Names as they are written and values without their quotes; none for a bare scheme.
    Parameters(Vec<(String, String)>),
}

impl Challenge {
    /// The most that is read of all lines together, in bytes. Servers send a few hundred.
    pub const MAX_LENGTH: usize = 8 << 10;
    /// The most challenges that are read.
    pub const MAX_CHALLENGES: usize = 16;
    /// The most parameters that are read of one challenge.
    pub const MAX_PARAMETERS: usize = 32;

    /// Reads all lines of the header. A line that does not fit into [`Challenge::MAX_LENGTH`] is not read, nor is any
    /// behind it.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<Self> {
        let mut list = List::default();
        let mut room = Self::MAX_LENGTH;
        for line in lines {
            let Some(left) = room.checked_sub(line.len()) else {
                break;
            };
            room = left;
            list.read(&String::from_utf8_lossy(line));
        }
        list.challenges
    }

    /// Returns whether it is of this scheme.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Returns the value of a parameter, the first one if it is there twice.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let ChallengeContent::Parameters(parameters) = &self.content else {
            return None;
        };
        let mut named = parameters
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }
}

/// What was read so far.
#[derive(Debug, Default)]
struct List {
    challenges: Vec<Challenge>,
    /// Whether parameters belong to the last challenge.
    is_open: bool,
    is_full: bool,
}

impl List {
    fn read(&mut self, line: &str) {
        let mut rest = Rest(line);
        let mut is_behind_comma = true;
        loop {
            is_behind_comma |= rest.skip_commas();
            if rest.0.is_empty() || self.is_full {
                return;
            }
            self.element(&mut rest, is_behind_comma);
            is_behind_comma = false;
        }
    }

    /// Reads a scheme, with its value, or one parameter. Whatever it is, something is taken off the rest.
    fn element(&mut self, rest: &mut Rest<'_>, is_behind_comma: bool) {
        let name = rest.token();
        let is_spaced = rest.skip_spaces();
        if !name.is_empty() && rest.eat('=') {
            rest.skip_spaces();
            if let Some(value) = rest.value() {
                self.parameter(name, value);
            }
            return;
        }
        let is_whole = is_spaced || rest.is_at_end_of_element();
        // Without a comma in front only what has parameters is surely a challenge.
        if name.is_empty() || !is_whole || !(is_behind_comma || rest.begins_with_parameter()) {
            self.is_open &= !is_behind_comma;
            rest.skip_element();
            return;
        }
        let content = match rest.token68() {
            Some(value) => ChallengeContent::Token68(value.to_owned()),
            None => ChallengeContent::Parameters(Vec::new()),
        };
        self.begin(name, content);
    }

    fn begin(&mut self, scheme: &str, content: ChallengeContent) {
        self.is_full = self.challenges.len() >= Challenge::MAX_CHALLENGES;
        self.is_open = !self.is_full;
        if self.is_open {
            self.challenges.push(Challenge {
                scheme: scheme.to_owned(),
                content,
            });
        }
    }

    fn parameter(&mut self, name: &str, value: String) {
        if let Some(challenge) = self.challenges.last_mut().filter(|_| self.is_open)
            && let ChallengeContent::Parameters(parameters) = &mut challenge.content
            && parameters.len() < Challenge::MAX_PARAMETERS
        {
            parameters.push((name.to_owned(), value));
        }
    }
}

/// What is still to be read of a line.
#[derive(Clone, Copy, Debug)]
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !wanted(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn token(&mut self) -> &'a str {
        self.take_while(is_token)
    }

    /// Skips spaces, and returns whether there were any.
    fn skip_spaces(&mut self) -> bool {
        !self.take_while(is_space).is_empty()
    }

    /// Skips spaces and commas, and returns whether there was a comma.
    fn skip_commas(&mut self) -> bool {
        self.take_while(|c| is_space(c) || c == ',').contains(',')
    }

    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.0.strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn is_at_end_of_element(&self) -> bool {
        self.0.is_empty() || self.0.starts_with(',')
    }

    fn begins_with_parameter(mut self) -> bool {
        let name = self.token();
        self.skip_spaces();
        !name.is_empty() && self.eat('=')
    }

    /// Takes the value of a parameter: a quoted string, or whatever there is without spaces, commas and quotes, which is
    /// more than a token may have, since some servers write URLs so.
    fn value(&mut self) -> Option<String> {
        if self.0.starts_with('"') {
            return self.quoted();
        }
        let bare = self.take_while(|c| !is_space(c) && !matches!(c, ',' | '"'));
        Some(bare.to_owned())
    }

    /// Takes a quoted string. One without an end takes all that is left.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut chars = self.0.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = self.0.get(at + 1..).unwrap_or_default();
                    return Some(value);
                }
                '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                c => value.push(c),
            }
        }
        self.0 = "";
        None
    }

    /// Takes the single value of a challenge, if that is all that comes before the next comma.
    fn token68(&mut self) -> Option<&'a str> {
        let whole = self.0;
        let mut behind = *self;
        let bare = behind.take_while(is_token68);
        behind.take_while(|c| c == '=');
        let value = whole.strip_suffix(behind.0)?;
        behind.skip_spaces();
        if bare.is_empty() || !behind.is_at_end_of_element() {
            return None;
        }
        *self = behind;
        Some(value)
    }

    /// Skips what comes before the next comma that is in no quoted string.
    fn skip_element(&mut self) {
        loop {
            self.take_while(|c| !matches!(c, ',' | '"'));
            if !self.0.starts_with('"') {
                return;
            }
            self.quoted();
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn is_token68(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(lines: &[&str]) -> Vec<Challenge> {
        Challenge::parse(lines.iter().map(|line| line.as_bytes()))
    }

    /// Writes a challenge the way it is read.
    fn print(challenge: &Challenge) -> String {
        let Challenge { scheme, content } = challenge;
        match content {
            ChallengeContent::Token68(value) => format!("{scheme} {value}"),
            ChallengeContent::Parameters(parameters) => {
                let escaped = |value: &str| value.replace('\\', r"\\").replace('"', r#"\""#);
                let written: Vec<String> = parameters
                    .iter()
                    .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                    .collect();
                format!("{scheme} {}", written.join(", ")).trim().to_owned()
            }
        }
    }

    /// Writes all challenges in a form that is easy to read: `Bearer[realm=x;service=y] Negotiate(abc)`.
    fn shown(challenges: &[Challenge]) -> String {
        let each = challenges.iter().map(|challenge| {
            let scheme = &challenge.scheme;
            match &challenge.content {
                ChallengeContent::Token68(value) => format!("{scheme}({value})"),
                ChallengeContent::Parameters(parameters) => {
                    let pairs: Vec<String> = parameters
                        .iter()
                        .map(|(name, value)| format!("{name}={value}"))
                        .collect();
                    format!("{scheme}[{}]", pairs.join(";"))
                }
            }
        });
        each.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn challenges_of_registries() {
        for (line, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull,push",error="invalid_token""#,
                "Bearer[realm=https://auth.docker.io/token;service=registry.docker.io;scope=repository:library/alpine:pull,push;error=invalid_token]",
            ),
            (
                r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:user/image:pull""#,
                "Bearer[realm=https://ghcr.io/token;service=ghcr.io;scope=repository:user/image:pull]",
            ),
            (
                r#"Bearer realm="https://quay.io/v2/auth",service="quay.io""#,
                "Bearer[realm=https://quay.io/v2/auth;service=quay.io]",
            ),
            (
                r#"Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws""#,
                "Bearer[realm=https://public.ecr.aws/token/;service=public.ecr.aws;scope=aws]",
            ),
            (
                r#"Basic realm="https://123.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com""#,
                "Basic[realm=https://123.dkr.ecr.eu-west-1.amazonaws.com/;service=ecr.amazonaws.com]",
            ),
            (
                r#"Basic realm="Sonatype Nexus Repository Manager""#,
                "Basic[realm=Sonatype Nexus Repository Manager]",
            ),
            (
                r#"Bearer realm="https://gitlab.com/jwt/auth?client_id=a=b",service="container_registry""#,
                "Bearer[realm=https://gitlab.com/jwt/auth?client_id=a=b;service=container_registry]",
            ),
        ] {
            assert_eq!(shown(&parse(&[line])), expected);
        }
    }

    #[test]
    fn forms_that_the_grammar_allows() {
        for (lines, expected) in [
            (vec![], ""),
            (vec!["", " , ,\t,"], ""),
            (vec!["Negotiate"], "Negotiate[]"),
            (vec!["Negotiate oYG2MIGz=="], "Negotiate(oYG2MIGz==)"),
            (
                vec!["NTLM, Negotiate ,, Basic"],
                "NTLM[] Negotiate[] Basic[]",
            ),
            (
                vec!["bEARER\tReAlM \t= \"x\" ,, B = y ,"],
                "bEARER[ReAlM=x;B=y]",
            ),
            (vec!["A , , b=c"], "A[b=c]"),
            (
                vec![r#"Basic realm="a, b=\"c\\", charset="UTF-8""#],
                r#"Basic[realm=a, b="c\;charset=UTF-8]"#,
            ),
            (vec![r#"Basic realm="""#], "Basic[realm=]"),
            (
                vec![r#"Digest realm="x", qop="auth, auth-int", nonce=dcd98b==, Bearer realm="y""#],
                "Digest[realm=x;qop=auth, auth-int;nonce=dcd98b==] Bearer[realm=y]",
            ),
            (
                vec!["Negotiate a==", "Bearer realm=x"],
                "Negotiate(a==) Bearer[realm=x]",
            ),
            (
                vec!["Negotiate a==, Bearer realm=x"],
                "Negotiate(a==) Bearer[realm=x]",
            ),
            // Lines are one list.
            (
                vec!["Bearer realm=x", "service=y"],
                "Bearer[realm=x;service=y]",
            ),
        ] {
            assert_eq!(shown(&parse(&lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_can_be_read_of_others_is_read() {
        for (lines, expected) in [
            // URLs without quotes, commas that are missing, values that are.
            (
                vec!["Bearer realm=https://r.io/t?a=b,service=r.io"],
                "Bearer[realm=https://r.io/t?a=b;service=r.io]",
            ),
            (
                vec![r#"Bearer realm="x" service="y" Basic realm="z""#],
                "Bearer[realm=x;service=y] Basic[realm=z]",
            ),
            (
                vec![r#"Negotiate Basic realm="z""#],
                "Negotiate[] Basic[realm=z]",
            ),
            (
                vec![r#"Bearer realm="x",service=,scope="s""#],
                "Bearer[realm=x;service=;scope=s]",
            ),
            // Trash behind a value, and in the place of one parameter.
            (
                vec![r#"Bearer realm="x"@@ trash, service=y z, scope=s"#],
                "Bearer[realm=x;service=y;scope=s]",
            ),
            (vec![r#"Bearer @@@, realm="x""#], "Bearer[realm=x]"),
            // What may have been another challenge takes its parameters with it.
            (
                vec![r#"Bearer realm="x", @@@ realm="z", service="y""#],
                "Bearer[realm=x]",
            ),
            (
                vec![r#"realm="nobody", Bearer realm="x""#],
                "Bearer[realm=x]",
            ),
            (
                vec![r#"D(gest) realm="z", nonce="a", Bearer realm="x""#],
                "Bearer[realm=x]",
            ),
            (vec!["garbage =,=", "Bearer realm=x"], "Bearer[realm=x]"),
            // A quoted string is not broken into, whatever is in it.
            (
                vec![r#"@ "a, Bearer realm=\"evil\"", Bearer realm="x""#],
                "Bearer[realm=x]",
            ),
            (
                vec![r#"Basic realm="a, Bearer realm=evil"#, "Bearer realm=x"],
                "Basic[] Bearer[realm=x]",
            ),
            (
                vec![r#"Basic realm="a\"#, r#"Bearer realm="x""#],
                "Basic[] Bearer[realm=x]",
            ),
        ] {
            assert_eq!(shown(&parse(&lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn parameters_are_found_by_name() {
        let found = parse(&[r#"bearer Realm="x", realm="y""#, "Negotiate abc"]);
        assert!(found[0].is("Bearer") && !found[0].is("Basic"));
        assert_eq!(found[0].parameter("realm"), Some("x"));
        assert_eq!(found[0].parameter("service"), None);
        assert_eq!(found[1].parameter("abc"), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_no_obstacle() {
        let line: &[u8] = b"Basic realm=\"caf\xe9\", Bearer realm=\"x\"";
        let found = Challenge::parse([line]);
        assert_eq!(shown(&found), "Basic[realm=caf\u{fffd}] Bearer[realm=x]");
    }

    #[test]
    fn there_is_an_end_to_it() {
        let many = "A,".repeat(Challenge::MAX_CHALLENGES) + "Bearer realm=x";
        let found = parse(&[&many, "realm=y"]);
        assert_eq!(found.len(), Challenge::MAX_CHALLENGES);
        assert!(
            found
                .iter()
                .all(|challenge| shown(std::slice::from_ref(challenge)) == "A[]")
        );
        let parameters = format!(
            "A {} Bearer realm=x",
            "a=b,".repeat(Challenge::MAX_PARAMETERS + 1)
        );
        let found = parse(&[&parameters]);
        let ChallengeContent::Parameters(kept) = &found[0].content else {
            panic!("parameters");
        };
        assert_eq!(kept.len(), Challenge::MAX_PARAMETERS);
        assert_eq!(shown(&found[1..]), "Bearer[realm=x]");
        let long = format!("A x=\"{}\"", "x".repeat(Challenge::MAX_LENGTH));
        assert_eq!(
            shown(&parse(&["Basic", &long, "Bearer realm=x"])),
            "Basic[]"
        );
    }

    fn token() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,8}"
    }

    fn challenge() -> impl Strategy<Value = Challenge> {
        let pairs = proptest::collection::vec((token(), "[ -~\u{e4}\u{1f980}]{0,20}"), 0..6);
        let content = prop_oneof![
            "[a-zA-Z0-9._~+/-]{1,12}={0,2}".prop_map(ChallengeContent::Token68),
            pairs.prop_map(ChallengeContent::Parameters),
        ];
        (token(), content).prop_map(|(scheme, content)| Challenge { scheme, content })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            challenges in proptest::collection::vec(challenge(), 0..5),
            is_one_line in any::<bool>(),
        ) {
            let written: Vec<String> = challenges.iter().map(print).collect();
            let lines = if is_one_line { vec![written.join(", ")] } else { written };
            let found = Challenge::parse(lines.iter().map(|line| line.as_bytes()));
            prop_assert_eq!(found, challenges);
        }

        #[test]
        fn nothing_that_is_sent_breaks_it(lines in proptest::collection::vec("[ -~]{0,8}|[\"\\\\,= \tab@]{0,40}|\\PC{0,40}", 0..4)) {
            let found = Challenge::parse(lines.iter().map(|line| line.as_bytes()));
            prop_assert!(found.iter().all(|challenge| !challenge.scheme.is_empty()));
        }
    }
}
