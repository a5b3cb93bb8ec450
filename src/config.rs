//! Settings of the server: `RIALTO_*` in the environment over an optional `rialto.toml`.
//!
//! Every name is in [`NAMES`], once. An unknown name is an error in both places, because a setting that is silently
//! ignored is one that somebody relies on. Everything that is wrong is told at once, each with what to write.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::IpNet;
use rialto_adapters::port::Secret;
use tracing_subscriber::EnvFilter;
use url::Url;

/// Every setting: its name without `RIALTO_`, what it is for, and what holds without it.
pub const NAMES: &[(&str, &str, &str)] = &[
    ("LISTEN", "address and port of the server", "127.0.0.1:8080"),
    ("ADMIN_LISTEN", "address and port of the admin API", "127.0.0.1:8090; in the demo none but LISTEN"),
    ("DATABASE_URL", "sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE", "sqlite:DATA_DIR/rialto.db"),
    ("DATA_DIR", "folder of the database, the master key and the lock", "./rialto-data"),
    ("PUBLIC_URL", "where callers, payers and PSPs reach the server", "http://LISTEN, if that is loopback"),
    (
        "MASTER_KEYS",
        "id:base64 of 32 bytes,… – the first seals, all open",
        "DATA_DIR/master.key; required on PostgreSQL",
    ),
    ("ADMIN_KEY", "the operator's key for the admin API", "DATA_DIR/admin.key"),
    ("ALLOW_SUBNETS", "networks that may be called besides the public internet", "none"),
    ("ADMIN_ON_MAIN", "whether the admin API is on LISTEN too", "false; true in the demo"),
    ("TIME_SCALE", "divides every wait of ours; for tests", "1"),
    ("LOG", "what is logged: warn, warn,rialto=debug, …", "warn,rialto=info,access=info"),
    ("LOG_FORMAT", "text or json", "text"),
    (
        "OTLP_ENDPOINT",
        "address of an OpenTelemetry collector (OTLP over HTTP): http://127.0.0.1:4318",
        "no traces are made",
    ),
    ("TRACE_PSPS", "whether PSPs get our traceparent too, where traces are made", "false"),
];

/// Where the admin API is, unless somebody says otherwise.
pub const ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8090);

const PREFIX: &str = "RIALTO_";
/// Variables that begin so belong to the tests, which may start the program.
const TEST_PREFIXES: &[&str] = &["RIALTO_TEST_", "RIALTO_BLESS"];
/// Read from the working directory where no other file is named.
const FILE: &str = "rialto.toml";
/// Characters of an operator's key: a key that can be guessed opens everything.
const ADMIN_KEY_MIN: usize = 24;
/// Tests run at most this much faster; beyond it waits become nothing.
const TIME_SCALE_MAX: u32 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// The settings, each checked. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// `None` where nobody said: see [`ADMIN_LISTEN`].
    pub admin_listen: Option<SocketAddr>,
    /// A secret, since it may hold a password.
    pub database_url: Secret,
    pub data_dir: PathBuf,
    /// Without a trailing slash; `None` where it follows from the address listened on.
    pub public_url: Option<String>,
    pub master_keys: Option<Secret>,
    pub admin_key: Option<Secret>,
    pub allow_subnets: Vec<IpNet>,
    pub admin_on_main: bool,
    pub time_scale: u32,
    /// `None` where nobody said: the server then logs at info, other commands at warn.
    pub log: Option<String>,
    pub log_format: LogFormat,
    /// A secret, since it may hold a token.
    pub otlp_endpoint: Option<Secret>,
    pub trace_psps: bool,
}

/// One thing that is wrong, with the name as the person wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub name: String,
    pub text: String,
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        for ConfigError { name, text } in &self.0 {
            write!(f, "\n  {name}: {text}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Where a value comes from decides how its name is written.
#[derive(Clone, Copy)]
enum Origin {
    Environment,
    File,
}

impl Origin {
    fn spell(self, name: &str) -> String {
        match self {
            Origin::Environment => format!("{PREFIX}{name}"),
            Origin::File => format!("{} in {FILE}", name.to_ascii_lowercase()),
        }
    }
}

/// The texts as given, by name, with all that is wrong so far.
#[derive(Default)]
struct Raw {
    values: BTreeMap<&'static str, (String, Origin)>,
    errors: Vec<ConfigError>,
}

impl Config {
    /// Reads `file` (or `rialto.toml` in the working directory, if it is there) and the environment over it.
    ///
    /// # Errors
    /// [`ConfigErrors`] with everything that is wrong.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Config, ConfigErrors> {
        let (path, required) = file.map_or((Path::new(FILE), false), |path| (path, true));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => String::new(),
            Err(error) => {
                let text = format!("cannot be read: {error}");
                return Err(ConfigErrors(vec![ConfigError { name: path.display().to_string(), text }]));
            }
        };
        Config::parse(&text, environment)
    }

    /// The same with the file's text in hand.
    ///
    /// # Errors
    /// [`ConfigErrors`] with everything that is wrong.
    pub fn parse(
        file: &str,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Config, ConfigErrors> {
        let mut raw = Raw::default();
        raw.read_file(file);
        raw.read_environment(environment);
        let config = raw.build();
        if raw.errors.is_empty() { Ok(config) } else { Err(ConfigErrors(raw.errors)) }
    }

    /// Where callers, payers and PSPs reach a server that listens on `bound`, without a trailing slash.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{bound}"))
    }

    /// Whether the store is a PostgreSQL server.
    pub fn is_postgres(&self) -> bool {
        !self.database_url.expose().starts_with("sqlite:")
    }

    /// The SQLite file, unless the store is a PostgreSQL server.
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        let path = self.database_url.expose().strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = path.split('?').next().unwrap_or_default();
        Some(PathBuf::from(percent_decoded(path)))
    }
}

impl Raw {
    fn refuse(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.errors.push(ConfigError { name: name.into(), text: text.into() });
    }

    fn read_file(&mut self, text: &str) {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            // The error's own text quotes the line, which may hold a secret.
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let line = text.get(..at).unwrap_or_default().lines().count().max(1);
                return self.refuse(FILE, format!("line {line} is not valid TOML: {}", error.message()));
            }
        };
        for (key, value) in table {
            let known = NAMES.iter().find(|(name, _, _)| name.to_ascii_lowercase() == key);
            match (known, text_of(&value)) {
                (None, _) => {
                    let bare = key.strip_prefix("rialto_").unwrap_or(&key).to_ascii_uppercase();
                    let hint = nearest(&bare).map(str::to_ascii_lowercase);
                    self.refuse(format!("{key} in {FILE}"), unknown(hint));
                }
                (Some((name, _, _)), Some(text)) => {
                    self.values.insert(name, (text, Origin::File));
                }
                (Some((name, _, _)), None) => {
                    self.refuse(Origin::File.spell(name), "must be a text, a number, a switch or a list of texts");
                }
            }
        }
    }

    fn read_environment(&mut self, environment: impl IntoIterator<Item = (OsString, OsString)>) {
        for (key, value) in environment {
            let ours = |key: &&str| key.starts_with(PREFIX) && !TEST_PREFIXES.iter().any(|test| key.starts_with(test));
            let Some(key) = key.to_str().filter(ours) else { continue };
            let bare = &key[PREFIX.len()..];
            let known = NAMES.iter().find(|(name, _, _)| *name == bare);
            match (known, value.into_string()) {
                (None, _) => {
                    let hint = nearest(&bare.to_ascii_uppercase()).map(|name| format!("{PREFIX}{name}"));
                    self.refuse(key, unknown(hint));
                }
                (Some((name, _, _)), Ok(text)) => {
                    self.values.insert(name, (text, Origin::Environment));
                }
                (Some(_), Err(_)) => self.refuse(key, "must be UTF-8"),
            }
        }
    }

    /// The value of `name` as `read` understands it, else what holds without it. An empty value is no value.
    fn take<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (text, origin) = self.values.get(name)?.clone();
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        match read(text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.refuse(origin.spell(name), why);
                None
            }
        }
    }

    fn build(&mut self) -> Config {
        let data_dir = self.take("DATA_DIR", |text| Ok(PathBuf::from(text)));
        let data_dir = data_dir.unwrap_or_else(|| PathBuf::from("rialto-data"));
        let database_url = self.take("DATABASE_URL", database_url);
        let config = Config {
            listen: self.take("LISTEN", address).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            admin_listen: self.take("ADMIN_LISTEN", address),
            database_url: database_url.unwrap_or_else(|| sqlite_in(&data_dir)),
            data_dir,
            public_url: self.take("PUBLIC_URL", public_url),
            master_keys: self.take("MASTER_KEYS", |text| Ok(Secret::new(text))),
            admin_key: self.take("ADMIN_KEY", admin_key),
            allow_subnets: self.take("ALLOW_SUBNETS", subnets).unwrap_or_default(),
            admin_on_main: self.take("ADMIN_ON_MAIN", switch).unwrap_or(false),
            time_scale: self.take("TIME_SCALE", time_scale).unwrap_or(1),
            log: self.take("LOG", log_filter),
            log_format: self.take("LOG_FORMAT", log_format).unwrap_or(LogFormat::Text),
            otlp_endpoint: self.take("OTLP_ENDPOINT", collector),
            trace_psps: self.take("TRACE_PSPS", switch).unwrap_or(false),
        };
        // Payers are sent to pages of ours by this address; a made-up one would strand them.
        if config.public_url.is_none() && !config.listen.ip().is_loopback() {
            self.refuse(
                Origin::Environment.spell("PUBLIC_URL"),
                format!("is required where the server listens on {}: write https://pay.example.com", config.listen),
            );
        }
        let admin = config.admin_listen.unwrap_or(ADMIN_LISTEN);
        if config.listen == admin && config.listen.port() != 0 {
            self.refuse(
                Origin::Environment.spell("ADMIN_LISTEN"),
                "is the same as RIALTO_LISTEN: write another port, or RIALTO_ADMIN_ON_MAIN=true besides",
            );
        }
        config
    }
}

fn unknown(hint: Option<String>) -> String {
    match hint {
        Some(hint) => format!("is not a setting; did you mean {hint}?"),
        None => {
            let names: Vec<String> = NAMES.iter().map(|(name, _, _)| format!("{PREFIX}{name}")).collect();
            format!("is not a setting; there are {}", names.join(", "))
        }
    }
}

/// How many letters may be wrong in a name for it to be still recognised.
const TYPOS_MAX: usize = 3;

fn nearest(name: &str) -> Option<&'static str> {
    let distances = NAMES.iter().map(|(known, _, _)| (distance(name, known), *known));
    distances
        .min()
        .filter(|(distance, known)| *distance <= TYPOS_MAX && *distance < known.len())
        .map(|(_, known)| known)
}

/// Letters to insert, remove or replace to come from one word to the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, known) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *known);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// A TOML value as it would stand in the environment.
fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not an IP address with a port: write 127.0.0.1:8080"))
}

/// No part of the text is in an error: it may be a password.
fn database_url(text: &str) -> Result<Secret, String> {
    let known = ["sqlite:", "postgres://", "postgresql://"];
    if known.iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(Secret::new(text));
    }
    Err("write sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE".to_owned())
}

fn sqlite_in(data_dir: &Path) -> Secret {
    let path = data_dir.join("rialto.db").to_string_lossy().into_owned();
    Secret::new(format!("sqlite:{}", path.replace('%', "%25").replace('?', "%3F").replace('#', "%23")))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn public_url(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is not a web address: write https://pay.example.com, without query");
    let url = Url::parse(text).map_err(|_| wrong())?;
    let web = matches!(url.scheme(), "https" | "http") && url.host().is_some();
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !web || !plain || url.password().is_some() {
        return Err(wrong());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// No part of the text is in an error: it may be a token.
fn collector(text: &str) -> Result<Secret, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some());
    match url {
        Some(url) if url.query().is_none() && url.username().is_empty() && url.password().is_none() => {
            Ok(Secret::new(text))
        }
        Some(_) | None => Err("is not a collector's address: write http://127.0.0.1:4318".to_owned()),
    }
}

fn admin_key(text: &str) -> Result<Secret, String> {
    if text.len() < ADMIN_KEY_MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "must have at least {ADMIN_KEY_MIN} visible characters: write what `openssl rand -hex 32` prints"
        ));
    }
    Ok(Secret::new(text))
}

fn subnets(text: &str) -> Result<Vec<IpNet>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let read = |part: &str| {
        let net = IpNet::from_str(part).or_else(|_| IpAddr::from_str(part).map(IpNet::from));
        net.map_err(|_| format!("{part:?} is not a network: write 10.0.0.0/8,fd00::/8"))
    };
    parts.map(read).collect()
}

fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(format!("{text:?} is not a switch: write true or false")),
    }
}

fn time_scale(text: &str) -> Result<u32, String> {
    let scale = text.parse().ok().filter(|scale| (1..=TIME_SCALE_MAX).contains(scale));
    scale.ok_or_else(|| format!("{text:?} is not a whole number from 1 to {TIME_SCALE_MAX}: write 1"))
}

fn log_filter(text: &str) -> Result<String, String> {
    let wrong = |error| format!("{text:?} is not a log filter ({error}): write info, or info,rialto=debug");
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(wrong)
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text.to_ascii_lowercase().as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("{text:?} is not a format: write text or json")),
    }
}

#[cfg(test)]
mod tests;
