//! The settings of one connection, as its manifest lists them.

use super::secret::Secret;
use std::collections::BTreeMap;

/// Values by setting key. All are held as secrets: which of them may be shown is the manifest's to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, Secret>);

impl Settings {
    pub fn new(values: impl IntoIterator<Item = (String, Secret)>) -> Settings {
        Settings(values.into_iter().collect())
    }

    /// The value of a setting; empty where it is absent, so that an adapter's `encode` stays total.
    pub fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", Secret::expose)
    }

    pub fn secret(&self, key: &str) -> Secret {
        self.0.get(key).cloned().unwrap_or_default()
    }

    /// A switch: `true`, `on`, `1` and `yes` are on, all else is off.
    pub fn is_on(&self, key: &str) -> bool {
        matches!(self.get(key), "true" | "on" | "1" | "yes")
    }

    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}
