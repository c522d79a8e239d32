//! Bearer tokens: what a token service answered, and how long that is good for.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

/// A token, with what is known of its life. It is never shown to people.
#[derive(Clone)]
pub(in crate::upstream) struct Token {
    authorization: HeaderValue,
    issued: Instant,
    lifetime: Duration,
}

impl Token {
    /// For this long a token may be refused because the clock of the registry is behind.
    const YOUNG: Duration = Duration::from_secs(3);
    /// Services that do not say mean this; and shorter lives are not worth their bookkeeping.
    const SHORTEST_LIFE: Duration = Duration::from_secs(60);
    /// The longest token, in bytes: servers take no more in all headers together, and thousands are kept.
    const MAX_LENGTH: usize = 16 << 10;
    /// Longer lives than a day are not believed.
    const LONGEST_LIFE: Duration = Duration::from_secs(86_400);

    /// Reads the answer of a token service.
    pub(super) fn parse(body: &[u8], now: Instant) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct Document {
            #[serde(default)]
            token: Option<String>,
            #[serde(default)]
            access_token: Option<String>,
            #[serde(default)]
            expires_in: Value,
        }
        let document: Document =
            serde_json::from_slice(body).map_err(|_| "answered something else than a token")?;
        let token = [document.access_token, document.token]
            .into_iter()
            .flatten()
            .find(|token| !token.is_empty())
            .ok_or("answered without a token")?;
        if token.len() > Self::MAX_LENGTH {
            return Err("answered a token that is longer than headers are");
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| "answered a token that no header can hold")?;
        authorization.set_sensitive(true);
        let seconds = match &document.expires_in {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let lifetime = seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(Self::SHORTEST_LIFE);
        Ok(Self {
            authorization,
            issued: now,
            lifetime: lifetime.clamp(Self::SHORTEST_LIFE, Self::LONGEST_LIFE),
        })
    }

    /// Returns the header that shows it.
    pub(in crate::upstream) fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// Returns whether it is too old to be shown; a little early, since it has to travel.
    pub(super) fn is_spent(&self) -> bool {
        let margin = (self.lifetime / 10).min(Duration::from_secs(10));
        self.issued.elapsed() >= self.lifetime - margin
    }

    /// Returns whether it was issued then or later.
    pub(in crate::upstream) fn was_issued_since(&self, then: Instant) -> bool {
        self.issued >= then
    }

    /// Returns whether it may be refused because it is too new.
    pub(in crate::upstream) fn is_young(&self) -> bool {
        self.issued.elapsed() < Self::YOUNG
    }

    /// Returns whether more than half of its life is over.
    pub(in crate::upstream) fn is_old(&self) -> bool {
        self.issued.elapsed() > self.lifetime / 2
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
impl Token {
    /// Makes a token that was issued this moment.
    pub(in crate::upstream) fn sample(lifetime: Duration) -> Self {
        Self {
            authorization: HeaderValue::from_static("Bearer sample"),
            issued: Instant::now(),
            lifetime,
        }
    }

    /// Makes it older.
    pub(in crate::upstream) fn aged(self, by: Duration) -> Self {
        Self {
            issued: self
                .issued
                .checked_sub(by)
                .expect("the machine is up for longer"),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_of_token_services() {
        let now = Instant::now();
        for (body, shown, seconds) in [
            (r#"{"token":"a"}"#, "Bearer a", 60),
            (
                r#"{"token":"a","access_token":"b","expires_in":300}"#,
                "Bearer b",
                300,
            ),
            (
                r#"{"token":"a","access_token":"","expires_in":"3600"}"#,
                "Bearer a",
                3600,
            ),
            (
                r#"{"access_token":"b","expires_in":299.9}"#,
                "Bearer b",
                299,
            ),
            (r#"{"token":"a","expires_in":1}"#, "Bearer a", 60),
            (
                r#"{"token":"a","expires_in":-1,"issued_at":"garbage"}"#,
                "Bearer a",
                60,
            ),
            (r#"{"token":"a","expires_in":1e99}"#, "Bearer a", 60),
            (r#"{"token":"a","expires_in":1e9}"#, "Bearer a", 86_400),
            (r#"{"token":"a","expires_in":null}"#, "Bearer a", 60),
        ] {
            let token = Token::parse(body.as_bytes(), now).unwrap();
            assert_eq!(token.authorization, shown, "{body}");
            assert_eq!(token.lifetime.as_secs(), seconds, "{body}");
            assert_eq!(format!("{token:?}"), "***");
            assert!(token.authorization.is_sensitive());
        }
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"token":""}"#,
            r#"{"token":"a\nb"}"#,
            r#"{"token":1}"#,
            "[]",
        ] {
            assert!(Token::parse(body.as_bytes(), now).is_err(), "{body}");
        }
        for (length, is_taken) in [(Token::MAX_LENGTH, true), (Token::MAX_LENGTH + 1, false)] {
            let body = format!(r#"{{"token":"{}"}}"#, "a".repeat(length));
            assert_eq!(Token::parse(body.as_bytes(), now).is_ok(), is_taken);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_left_before_it_ends() {
        let token = |body: &str| Token::parse(body.as_bytes(), Instant::now()).unwrap();
        let (short, long) = (
            token(r#"{"token":"a"}"#),
            token(r#"{"token":"a","expires_in":300}"#),
        );
        let ages = [
            (2, true, false, false, false),
            (31, false, true, false, false),
        ];
        let ages = ages.into_iter().chain([
            (54, false, true, true, false),
            (151, false, true, true, false),
        ]);
        let mut passed = 0;
        for (at, is_young, is_old, short_spent, long_spent) in
            ages.chain([(290, false, true, true, true)])
        {
            tokio::time::advance(Duration::from_secs(at - passed)).await;
            passed = at;
            assert_eq!(short.is_young(), is_young, "{at}");
            assert_eq!(short.is_old(), is_old, "{at}");
            assert_eq!(short.is_spent(), short_spent, "{at}");
            assert_eq!(long.is_spent(), long_spent, "{at}");
        }
    }
}
