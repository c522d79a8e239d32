//! The log: lines for people on a terminal, JSON for machines elsewhere, always on standard error.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// What the log shows, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// What it shows.
    pub level: LogLevel,
    /// How it shows it.
    pub format: LogFormat,
}

/// Which events are shown: a level, and levels of modules, as in `info,larder::upstream=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of text.
    Text(Colors),
    /// A JSON object on one line.
    Json,
}

/// Whether text has colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    /// It has.
    On,
    /// It has none, as `NO_COLOR` asks for.
    Off,
}

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// To a terminal, where a person reads it.
    Terminal,
    /// To a file or another program.
    Elsewhere,
}

impl LogOutput {
    /// Finds out where standard error goes.
    pub fn of_standard_error() -> Self {
        if io::stderr().is_terminal() {
            Self::Terminal
        } else {
            Self::Elsewhere
        }
    }
}

impl LogSettings {
    /// The variables that set the level; the first that is not empty counts.
    pub const LEVEL_VARIABLES: [&str; 2] = ["LARDER_LOG", "RUST_LOG"];

    /// Takes the level from the environment, which is given as a function, and the format from where the log goes. The
    /// usual level is for those who set none.
    ///
    /// # Errors
    /// When a variable holds something else than levels.
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
        output: LogOutput,
        usual: LogLevel,
    ) -> Result<Self, LogError> {
        let variable = |name| variable(name).filter(|text| !text.is_empty());
        let written = Self::LEVEL_VARIABLES
            .into_iter()
            .find_map(|name| Some((name, variable(name)?)));
        let level = match written {
            None => usual,
            Some((name, text)) => {
                text.parse()
                    .map_err(|source| LogError::Level { name, text, source })?
            }
        };
        let format = match (output, variable("NO_COLOR")) {
            (LogOutput::Elsewhere, _) => LogFormat::Json,
            (LogOutput::Terminal, None) => LogFormat::Text(Colors::On),
            (LogOutput::Terminal, Some(_)) => LogFormat::Text(Colors::Off),
        };
        Ok(Self { level, format })
    }
}

impl LogLevel {
    /// Returns the level of what is degraded or broken, and nothing else.
    pub fn warnings() -> Self {
        Self("warn".to_owned())
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl FromStr for LogLevel {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match EnvFilter::builder().parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(LevelError(error.to_string())),
        }
    }
}

/// Starts the log of this process, on standard error. Call it once.
///
/// # Errors
/// When the process has a log already.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    subscriber(settings, io::stderr)
        .try_init()
        .map_err(|_| LogError::Started)
}

/// Makes the subscriber that writes the log.
fn subscriber<W>(settings: &LogSettings, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Parsed once already, when the settings were made.
    let filter = EnvFilter::new(&settings.level.0);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match settings.format {
        LogFormat::Text(colors) => Box::new(log.with_ansi(colors == Colors::On).finish()),
        LogFormat::Json => Box::new(log.json().flatten_event(true).finish()),
    }
}

/// Why there is no log.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LogError {
    /// A variable does not hold levels.
    #[error("{name}: '{}' is no log level", text.escape_debug())]
    Level {
        /// Which variable.
        name: &'static str,
        /// What it holds.
        text: String,
        /// What is wrong with it.
        source: LevelError,
    },
    /// There is one already.
    #[error("the process has a log already")]
    Started,
}

/// Why a text is no level.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct LevelError(String);

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn read(variables: &[(&str, &str)], output: LogOutput) -> Result<LogSettings, LogError> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        LogSettings::read(find, output, LogLevel::default())
    }

    /// Returns what a log with these settings writes of a few events.
    fn log(settings: &LogSettings) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(settings, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(size_bytes = 7, "kept");
            tracing::debug!("looked");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_level_is_ours_before_that_of_all_rust_programs() {
        let ours = ("LARDER_LOG", "warn");
        let rusts = ("RUST_LOG", "larder=debug");
        for (variables, level) in [
            (&[][..], "info"),
            (&[rusts], "larder=debug"),
            (&[ours, rusts], "warn"),
            (&[("LARDER_LOG", ""), rusts], "larder=debug"),
        ] {
            let settings = read(variables, LogOutput::Terminal).unwrap();
            assert_eq!(settings.level.0, level);
        }
        for (text, told) in [
            ("larder=loud", "LARDER_LOG: 'larder=loud' is no log level"),
            ("???", "LARDER_LOG: '???' is no log level"),
        ] {
            let error = read(&[("LARDER_LOG", text)], LogOutput::Terminal).unwrap_err();
            assert_eq!(error.to_string(), told);
        }
    }

    #[test]
    fn the_usual_level_is_for_those_who_set_none() {
        for (variable, level) in [(None, "warn"), (Some("debug"), "debug")] {
            let find = |_: &str| variable.map(ToOwned::to_owned);
            let settings = LogSettings::read(find, LogOutput::Terminal, LogLevel::warnings());
            assert_eq!(settings.unwrap().level.0, level);
        }
    }

    #[test]
    fn machines_get_json_with_the_fields_beside_the_message() {
        let settings = read(&[], LogOutput::Elsewhere).unwrap();
        let log = log(&settings);
        assert_eq!(log.lines().count(), 1, "{log}");
        let event: serde_json::Value = serde_json::from_str(&log).unwrap();
        assert_eq!(event["message"], "kept");
        assert_eq!(event["level"], "INFO");
        assert_eq!(event["size_bytes"], 7);
        assert_eq!(event["target"], "larder::telemetry::log::tests");
    }

    #[test]
    fn people_get_text_and_colors_unless_they_want_none() {
        let variables = [("LARDER_LOG", "debug")];
        let colored = log(&read(&variables, LogOutput::Terminal).unwrap());
        assert!(colored.contains('\x1b'), "{colored}");
        let variables = [("LARDER_LOG", "debug"), ("NO_COLOR", "1")];
        let plain = log(&read(&variables, LogOutput::Terminal).unwrap());
        assert!(!plain.contains('\x1b'), "{plain}");
        assert!(plain.contains("kept size_bytes=7"), "{plain}");
        assert_eq!(plain.lines().count(), 2, "{plain}");
    }
}
