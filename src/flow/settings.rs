//! The settings of a connection: shown, changed, and which of their versions a transaction uses.
//!
//! Settings are versioned rows. A transaction keeps the version it was sent with, and everything that is asked or done
//! about it later uses the newest version of the same *account*: the one that the identifying settings name. So a rotated
//! key is used at once for payments that are under way, and a changed account never for those of the old one.

use std::collections::BTreeMap;

use rialto_adapters::port::manifest::{Manifest, MethodName, SettingField};
use rialto_adapters::port::{Kind, Probe, Reason, Settings, Timestamp};
use uuid::Uuid;

use super::limits::REFUSED_FOR;
use super::operate::Act;
use super::tenants::{BULLET, SetupError, account, checked_settings, invalid};
use super::{Engine, FlowError, Known};
use crate::core::alert::Alert;
use crate::core::transaction::State;
use crate::store::history::{self, StoredAlert};
use crate::store::tenants::{self, Connection, Told};
use crate::store::transactions::Transaction;
use crate::store::{Refusal, Unit};

/// Refusals in a row before an account is tried out: two may be an outage of the PSP's own key store.
pub const REFUSALS_IN_A_ROW: i32 = 3;

/// Bullets in a mask, whatever the length of what it hides.
const BULLETS: usize = 8;
/// The end of a secret is shown, so that two can be told apart, where so much of it stays hidden that nobody can guess it.
const SHOWN: usize = 4;
const SHOWN_FROM: usize = 20;

/// What is shown in place of a secret: eight bullets, and the last four characters of one with twenty or more.
pub fn masked(secret: &str) -> String {
    let bullets = bullets();
    let length = secret.chars().count();
    let end: String = secret.chars().skip(length.saturating_sub(SHOWN)).collect();
    if length >= SHOWN_FROM { bullets + &end } else { bullets }
}

fn bullets() -> String {
    std::iter::repeat_n(BULLET, BULLETS).collect()
}

/// Whether a value stands for the secret that is stored: its mask, or the bullets alone.
fn keeps(value: &str, secret: &str) -> bool {
    !secret.is_empty() && (value == masked(secret) || value == bullets())
}

/// New values for settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewValues {
    /// A merchant's form, whole: what is not in it is not set any more, but for what is the operator's alone; the mask of
    /// a secret keeps it.
    Form(Vec<(String, String)>),
    /// An operator's: only these change, and an empty one is taken away.
    Some(BTreeMap<String, String>),
}

/// What became of a change of settings. Nothing is stored but by `Saved`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// They are in force. `methods`: what the PSP lets the account do with them; `None` where an operator has put them in
    /// force although it could not be tried out, or was refused.
    Saved { version: i32, methods: Option<Vec<(Kind, MethodName)>> },
    /// They are what they were, and the PSP accepts them.
    Same { methods: Vec<(Kind, MethodName)> },
    /// The PSP does not accept them.
    Refused { text: String },
    /// The PSP could not be asked.
    Unreachable { text: String },
    /// They name another account, and so many transactions of the present one are open.
    Strands { open: u64 },
    /// Somebody else has changed them at the same time.
    Raced,
}

impl Engine {
    /// The settings that a transaction is asked about, or acted upon, with.
    pub(super) async fn settings_for(&self, t: &Transaction) -> Result<Settings, FlowError> {
        Ok(self.store.settings_of_account(t.tenant_id, t.connection_id, t.settings_version).await?)
    }

    /// The settings in force as they may be shown to a merchant, in the manifest's order: secrets masked, and nothing that
    /// is the operator's alone.
    pub async fn shown_settings(&self, connection: &Connection) -> Result<Vec<(&'static str, String)>, FlowError> {
        let manifest = self.adapter(connection)?.manifest();
        let settings = self.store.settings(connection.tenant_id, connection.id, connection.version).await?;
        let shown = |field: &SettingField| match settings.get(field.key) {
            value if field.secret => masked(value),
            value => value.to_owned(),
        };
        let own = merchants(manifest).filter(|field| settings.contains(field.key));
        Ok(own.map(|field| (field.key, shown(field))).collect())
    }

    /// Tries new settings out at the PSP, and puts them in force if it accepts them. `force` puts them in force although
    /// open transactions stay behind with the old account, or the PSP does not accept them or cannot be asked.
    pub async fn change_settings(
        &self,
        tenant: Uuid,
        connection: Uuid,
        new: NewValues,
        force: bool,
    ) -> Result<Changed, SetupError> {
        let Some(connection) = self.store.connection(tenant, connection).await? else {
            return Err(SetupError::NotFound { what: "connection", id: connection.to_string() });
        };
        let manifest = self.adapter(&connection)?.manifest();
        let current = self.store.settings(tenant, connection.id, connection.version).await?;
        let values = match new {
            NewValues::Form(form) => filled_in(manifest, &current, form)?,
            NewValues::Some(some) => changed_by(manifest, &current, some),
        };
        let settings = checked_settings(manifest, values, true)?;
        let another = account(manifest, &settings) != account(manifest, &current);
        let mut open = 0;
        if another {
            open = self.store.open_of_account(tenant, connection.id, connection.version, self.clock.now()).await?;
            if open > 0 && !force {
                return Ok(Changed::Strands { open });
            }
        }
        let same = settings == current;
        let methods = match self.probe(&connection, &settings).await? {
            Probe::Valid(methods) => Some(methods),
            Probe::Refused(..) | Probe::Unknown(_) if force && !same => None,
            Probe::Refused(_, text) => return Ok(Changed::Refused { text }),
            Probe::Unknown(fault) => return Ok(Changed::Unreachable { text: fault.text }),
        };
        match methods {
            Some(methods) if same => {
                self.accepted(&connection).await?;
                Ok(Changed::Same { methods })
            }
            methods => {
                let change = Change { connection: &connection, current: &current, settings: &settings };
                self.save(manifest, change, another.then_some(open), methods).await
            }
        }
    }

    async fn save(
        &self,
        manifest: &Manifest,
        change: Change<'_>,
        left_behind: Option<u64>,
        methods: Option<Vec<(Kind, MethodName)>>,
    ) -> Result<Changed, SetupError> {
        let Change { connection, settings, .. } = change;
        let next = Connection { version: connection.version + 1, ..connection.clone() };
        let mut unit = Unit::new("change_settings");
        tenants::next_version(&mut unit, connection);
        self.store.add_settings(&mut unit, &next, settings, account(manifest, settings));
        tenants::settle_refusals(&mut unit, connection.tenant_id, connection.id, self.clock.now());
        let account = match left_behind {
            Some(open) => format!("; another account, {open} transactions open under the old one"),
            None => String::new(),
        };
        let tried = if methods.is_some() { "accepted by the PSP" } else { "not accepted by the PSP, forced" };
        let act = Act::new("settings", format!("{}{account}", change.keys().join(" ")));
        let act = act.of(connection.tenant_id).on(connection.id);
        self.audit(&mut unit, act, &format!("version {}, {tried}", next.version));
        match self.store.run(unit).await? {
            Ok(()) => Ok(Changed::Saved { version: next.version, methods }),
            Err(
                Refusal::Stale
                | Refusal::KeyTaken
                | Refusal::Short
                | Refusal::Held
                | Refusal::Duplicate
                | Refusal::Missing,
            ) => Ok(Changed::Raced),
        }
    }

    /// What the end of a transaction says of the account at the PSP. `heard_at`: before it was applied.
    pub(super) async fn account_heard(
        &self,
        known: &Known,
        after: &Transaction,
        heard_at: Timestamp,
    ) -> Result<(), FlowError> {
        let Known { t: before, connection, .. } = known;
        let refused = after.state == State::Declined(Reason::AccountRefused);
        let accepted = after.state.is_good(after.kind) || matches!(after.state, State::Pending(_));
        let counted = connection.refusals > 0 || connection.told.is_some();
        if before.state == after.state || !(refused || (accepted && counted)) {
            return Ok(());
        }
        let (tenant, id) = (connection.tenant_id, connection.id);
        // What an account says that was left behind is no news of the present one.
        if !self.store.same_account(tenant, id, connection.version, after.settings_version).await? {
            return Ok(());
        }
        if accepted {
            return self.accepted(connection).await;
        }
        let mut unit = Unit::new("account_refused");
        tenants::count_refusal(&mut unit, tenant, id, heard_at);
        if connection.refusals == 0 {
            let alert = Alert::AccountRefused;
            tracing::warn!(%tenant, connection = %id, transaction = %after.id, alert = alert.as_str(), "{}", alert.text());
            let alert = StoredAlert {
                id: self.clock.new_id(),
                tenant_id: tenant,
                transaction_id: Some(after.id),
                kind: alert.as_str().to_owned(),
                text: alert.text().to_owned(),
                raised_at: heard_at,
            };
            history::raise_alert(&mut unit, alert);
        }
        self.run_and_nudge(unit).await
    }

    /// The PSP accepts the account: whatever it refused before is over.
    async fn accepted(&self, connection: &Connection) -> Result<(), FlowError> {
        if connection.refusals == 0 && connection.told.is_none() {
            return Ok(());
        }
        let mut unit = Unit::new("account_accepted");
        tenants::clear_refusals(&mut unit, connection.tenant_id, connection.id, self.clock.now());
        tracing::info!(tenant = %connection.tenant_id, connection = %connection.id, "the PSP accepts the account again");
        self.run_and_nudge(unit).await
    }

    /// Connections whose account is refused so often and for so long that it should be tried out.
    pub async fn refused_connections(&self) -> Result<Vec<Connection>, FlowError> {
        let since = self.clock.now().minus(self.clock.wait(REFUSED_FOR));
        Ok(self.store.connections_refused(REFUSALS_IN_A_ROW, since).await?)
    }

    /// Tries out an account that is refused again and again. Only if it is refused now too are callers told that the
    /// credentials are wrong, because they then stop using the PSP. True if that decided it, one way or the other.
    pub async fn judge_account(&self, connection: &Connection) -> Result<bool, FlowError> {
        let settings = self.store.settings(connection.tenant_id, connection.id, connection.version).await?;
        match self.probe(connection, &settings).await? {
            Probe::Valid(_) => self.accepted(connection).await?,
            Probe::Refused(_, text) => {
                tracing::error!(tenant = %connection.tenant_id, connection = %connection.id, text, "the PSP refuses the account; callers are told");
                let since = connection.refused_since.unwrap_or_else(|| self.clock.now());
                let details = format!("refused {} times since {}, and when tried out", connection.refusals, since.0);
                self.tell_about(connection, Told::Proved, details).await?;
            }
            Probe::Unknown(fault) => {
                tracing::info!(connection = %connection.id, %fault, "a refused account could not be tried out");
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An operator decides whether callers are told that the account is refused, until it is accepted again.
    pub async fn tell_refused(&self, connection: Uuid, told: bool) -> Result<Connection, SetupError> {
        let Some(found) = self.store.connection_anywhere(connection).await? else {
            return Err(SetupError::NotFound { what: "connection", id: connection.to_string() });
        };
        let told = if told { Told::Tell } else { Told::Hold };
        if told == Told::Tell && found.refusals == 0 {
            return Err(invalid("tell", "the PSP has not refused the account since it last accepted it"));
        }
        let details = format!("refused {} times in a row", found.refusals);
        if !self.tell_about(&found, told, details).await? {
            return Err(invalid("tell", "the PSP has just refused or accepted the account once more; try again"));
        }
        Ok(Connection { told: Some(told), ..found })
    }

    async fn tell_about(&self, connection: &Connection, told: Told, details: String) -> Result<bool, FlowError> {
        let mut unit = Unit::new("tell_refused");
        tenants::tell_refusals(&mut unit, connection, told);
        let act = Act::new("connection.refused", details).of(connection.tenant_id).on(connection.id);
        self.audit(&mut unit, act, told.as_str());
        Ok(self.store.run(unit).await?.is_ok())
    }
}

/// A change that is to be saved.
#[derive(Clone, Copy)]
struct Change<'a> {
    connection: &'a Connection,
    current: &'a Settings,
    settings: &'a Settings,
}

impl Change<'_> {
    /// The settings that differ, by their keys.
    fn keys(&self) -> Vec<&str> {
        let all: BTreeMap<&str, ()> =
            self.current.iter().chain(self.settings.iter()).map(|(key, _)| (key, ())).collect();
        all.into_keys().filter(|key| self.current.get(key) != self.settings.get(key)).collect()
    }
}

/// The settings that are a merchant's to see and set.
pub fn merchants(manifest: &Manifest) -> impl Iterator<Item = &'static SettingField> {
    manifest.settings.iter().filter(|field| !field.operator_only)
}

/// What a merchant's form comes to: masks replaced by what they stand for, and the operator's own settings put beside it.
fn filled_in(
    manifest: &Manifest,
    current: &Settings,
    form: Vec<(String, String)>,
) -> Result<BTreeMap<String, String>, SetupError> {
    let mut values = BTreeMap::new();
    for (key, value) in form {
        // One that is the operator's alone is as unknown as one that there is not.
        let Some(field) = merchants(manifest).find(|field| field.key.eq_ignore_ascii_case(&key)) else {
            let known: Vec<&str> = merchants(manifest).map(|field| field.key).collect();
            return Err(invalid(&key, format!("unknown setting; {} has {}", manifest.title, known.join(", "))));
        };
        let value = value.trim();
        let value = match field.secret && value.contains(BULLET) {
            false => value,
            true if keeps(value, current.get(field.key)) => current.get(field.key),
            true => {
                return Err(invalid(field.key, "is a mask, and not the one of what is stored; give the value itself"));
            }
        };
        if values.insert(field.key.to_owned(), value.to_owned()).is_some() {
            return Err(invalid(field.key, "is given twice"));
        }
    }
    for field in manifest.settings.iter().filter(|field| field.operator_only && current.contains(field.key)) {
        values.insert(field.key.to_owned(), current.get(field.key).to_owned());
    }
    values.retain(|_, value| !value.is_empty());
    Ok(values)
}

/// What an operator's changes make of the settings. What the manifest does not know any more is left out.
fn changed_by(manifest: &Manifest, current: &Settings, some: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let known = current.iter().filter(|(key, _)| manifest.setting(key).is_some());
    let mut values: BTreeMap<String, String> =
        known.map(|(key, value)| (key.to_owned(), value.expose().to_owned())).collect();
    for (key, value) in some {
        values.insert(key, value);
    }
    values.retain(|_, value| !value.is_empty());
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use rialto_adapters::port::Secret;

    fn manifest() -> &'static Manifest {
        rialto_adapters::find("sandbox").expect("always there").manifest()
    }

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::new(pairs.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value))))
    }

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn masks() {
        let rows = [
            ("", "••••••••"),
            ("short", "••••••••"),
            ("nineteen-characters", "••••••••"),
            ("twenty-characters-ab", "••••••••s-ab"),
            ("ein-sehr-langer-Schlüssel", "••••••••ssel"),
        ];
        for (secret, mask) in rows {
            assert_eq!(masked(secret), mask, "{secret}");
            assert!(mask.contains(BULLET), "no value may hold one: {mask}");
        }
    }

    #[test]
    fn a_form_is_filled_in_or_refused() {
        let long = "a-key-of-twenty-or-more-characters";
        let current = settings(&[("api_key", long), ("webhook_secret", "short"), ("scripted", "on")]);
        let filled = |pairs: &[(&str, &str)]| filled_in(manifest(), &current, form(pairs));
        let as_map = |pairs: &[(&str, &str)]| form(pairs).into_iter().collect::<BTreeMap<_, _>>();
        // What is the operator's stays; masks keep; names are taken in any letter case, values without the spaces of a paste.
        let kept = as_map(&[("api_key", long), ("webhook_secret", "short"), ("scripted", "on")]);
        for mask in ["••••••••ters", "••••••••"] {
            let kept = kept.clone();
            assert_eq!(filled(&[("API_KEY", mask), ("webhook_secret", "••••••••")]), Ok(kept));
        }
        let new = as_map(&[("api_key", "new"), ("webhook_secret", "other"), ("scripted", "on")]);
        assert_eq!(filled(&[("api_key", " new\n"), ("webhook_secret", "other")]), Ok(new));
        let rows: &[(&[(&str, &str)], &str, &str)] = &[
            (&[("colour", "red")], "colour", "unknown setting; Sandbox has api_key, webhook_secret"),
            (&[("scripted", "off")], "scripted", "unknown setting; Sandbox has api_key, webhook_secret"),
            (&[("api_key", "a"), ("Api_Key", "b")], "api_key", "is given twice"),
            (&[("api_key", "•••••••••")], "api_key", "is a mask"),
            (&[("api_key", "••••••••sret")], "api_key", "is a mask"),
            (&[("webhook_secret", "a•b")], "webhook_secret", "is a mask"),
        ];
        for (pairs, key, text) in rows {
            match filled(pairs) {
                Err(SetupError::Invalid { field, text: told }) => {
                    assert_eq!(field, *key, "{pairs:?}");
                    assert!(told.starts_with(text), "{told}");
                }
                other => panic!("{pairs:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_operator_changes_some() {
        let current = settings(&[("api_key", "a"), ("webhook_secret", "b"), ("scripted", "on"), ("gone", "x")]);
        let some = form(&[("webhook_secret", "c"), ("scripted", ""), ("colour", "red")]).into_iter().collect();
        let wanted = form(&[("api_key", "a"), ("webhook_secret", "c"), ("colour", "red")]).into_iter().collect();
        assert_eq!(changed_by(manifest(), &current, some), wanted);
    }
}
