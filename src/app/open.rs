//! Opens the data directory, the keys and the store, and refuses what would lose somebody's settings.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use rialto_adapters::port::Secret;

use crate::clock::Clock;
use crate::config::Config;
use crate::store::{KeyRing, Store, StoreOptions, Vault};

const MASTER_KEY_FILE: &str = "master.key";
const ADMIN_KEY_FILE: &str = "admin.key";
/// Bytes of randomness in an operator's key.
const KEY_BYTES: usize = 32;

/// Makes the data directory, for its owner only.
///
/// # Errors
/// If it cannot be made.
pub fn data_dir(config: &Config) -> anyhow::Result<()> {
    let path = &config.data_dir;
    private_dir(path).with_context(|| format!("cannot make the data directory {} (RIALTO_DATA_DIR)", path.display()))
}

/// Makes a folder for its owner only.
///
/// # Errors
/// If it cannot be made.
pub fn private_dir(path: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("cannot make {}", path.display()))
}

/// Opens the store with its keys.
///
/// # Errors
/// With what to do about it.
pub async fn store(config: &Config, clock: Clock, migrate: bool) -> anyhow::Result<Store> {
    let vault = Vault::new(key_ring(config)?);
    let url = config.database_url.expose().to_owned();
    Ok(Store::open(StoreOptions { url, clock, vault, migrate }).await?)
}

fn key_ring(config: &Config) -> anyhow::Result<KeyRing> {
    if let Some(keys) = &config.master_keys {
        return KeyRing::parse(keys.expose())
            .context("RIALTO_MASTER_KEYS cannot be used: write id:base64 of 32 bytes,…");
    }
    let Some(database) = config.sqlite_file() else {
        // Nodes that share a database must share the keys, which a file of one of them is not.
        bail!(
            "RIALTO_MASTER_KEYS is required on PostgreSQL: write a name, a colon and what `openssl rand -base64 32` \
             prints, and keep a copy"
        );
    };
    let key = config.data_dir.join(MASTER_KEY_FILE);
    let has_data = std::fs::metadata(&database).is_ok_and(|metadata| metadata.len() > 0);
    if has_data && !key.exists() {
        bail!(
            "{} has data, but its master key {} is missing: put the key back from your copy, or set RIALTO_MASTER_KEYS; \
             a new key could not open the settings that are stored. To start afresh, move the database away",
            database.display(),
            key.display()
        );
    }
    Ok(KeyRing::load_or_make(&config.data_dir)?)
}

/// The operator's key: `RIALTO_ADMIN_KEY`, else the one in the data directory, made the first time. Whoever may read
/// that directory could read everything anyway.
///
/// # Errors
/// If the file cannot be made or read.
pub fn operator_key(config: &Config, clock: &Clock) -> anyhow::Result<Secret> {
    if let Some(key) = &config.admin_key {
        return Ok(key.clone());
    }
    let path = config.data_dir.join(ADMIN_KEY_FILE);
    if !path.exists() {
        let key = rialto_adapters::port::notice::hex(&clock.random::<KEY_BYTES>());
        write_private(&path, format!("ak_{key}\n").as_bytes())?;
        tracing::info!(path = %path.display(), "an operator's key was made");
    }
    stored_operator_key(config)
}

/// The operator's key as a command beside a running server knows it.
///
/// # Errors
/// If there is none.
pub fn stored_operator_key(config: &Config) -> anyhow::Result<Secret> {
    if let Some(key) = &config.admin_key {
        return Ok(key.clone());
    }
    let path = config.data_dir.join(ADMIN_KEY_FILE);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("cannot read {}: set RIALTO_ADMIN_KEY to the key the server was started with", path.display())
    })?;
    Ok(Secret::new(text.trim()))
}

/// Writes a file that only its owner may read; it appears whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let draft = path.with_extension(format!("{}.draft", Clock::default().new_id().simple()));
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = (|| {
        let mut file = options.open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    })();
    if written.is_err() {
        // The draft is of no use to anybody, and the error is about the file.
        drop(std::fs::remove_file(&draft));
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn config(folder: &Path, more: &[(&str, &str)]) -> Config {
        let data_dir = ("RIALTO_DATA_DIR", folder.to_str().expect("UTF-8"));
        let all = more.iter().chain([&data_dir]).map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Config::parse("", all).expect("good settings")
    }

    #[tokio::test]
    async fn a_database_is_not_opened_with_a_new_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), &[]);
        data_dir(&config).expect("a folder");
        drop(store(&config, Clock::default(), true).await.expect("the first start"));
        drop(store(&config, Clock::default(), true).await.expect("the second start"));
        std::fs::remove_file(folder.path().join(MASTER_KEY_FILE)).expect("the key is there");
        let Err(error) = store(&config, Clock::default(), true).await else { panic!("it is opened") };
        assert!(error.to_string().contains("put the key back"), "{error}");
        assert!(!folder.path().join(MASTER_KEY_FILE).exists(), "no new key is made");
    }

    #[tokio::test]
    async fn postgres_needs_keys_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), &[("RIALTO_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/d")]);
        let Err(error) = store(&config, Clock::default(), true).await else { panic!("it is opened") };
        assert!(error.to_string().contains("RIALTO_MASTER_KEYS is required"), "{error}");
    }

    #[test]
    fn an_operators_key_is_made_once_for_the_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let plain = config(folder.path(), &[]);
        assert!(stored_operator_key(&plain).is_err());
        let made = operator_key(&plain, &Clock::default()).expect("a key");
        assert_eq!(operator_key(&plain, &Clock::default()).expect("a key"), made);
        assert_eq!(stored_operator_key(&plain).expect("a key"), made);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let metadata = std::fs::metadata(folder.path().join(ADMIN_KEY_FILE)).expect("the file");
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        }
        let named = config(folder.path(), &[("RIALTO_ADMIN_KEY", "a-key-that-an-operator-chose")]);
        assert_eq!(operator_key(&named, &Clock::default()).expect("a key").expose(), "a-key-that-an-operator-chose");
    }
}
