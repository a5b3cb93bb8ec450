//! Sealing: secrets at rest, and keys for tokens.
//!
//! A sealed value is bound to its table, column, row and tenant: copied anywhere else it does not open.

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::StoreError;
use crate::clock::Clock;

/// First byte of every sealed value; another algorithm or layout gets another one.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;
/// Keys in a ring: rotation needs two, a missed clean-up some more.
const KEYS_MAX: usize = 16;
/// Characters of a key id; it is stored in every sealed value.
const KEY_ID_MAX: usize = 64;
/// The label of the key that seals. Labels of tokens never begin with "seal".
const SEAL_LABEL: &str = "seal/v1";
const KEY_FILE: &str = "master.key";

/// Master keys: the first seals, all open.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<Vec<Key>>,
}

struct Key {
    id: String,
    master: Zeroizing<[u8; KEY_BYTES]>,
    /// Derived once; the master key itself encrypts nothing.
    seal: Zeroizing<[u8; KEY_BYTES]>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

impl KeyRing {
    /// Reads `id:base64 of 32 bytes,…`. Errors name the position, never a part of a key.
    pub fn parse(text: &str) -> Result<KeyRing, StoreError> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, entry) in text.trim().split(',').enumerate() {
            let refuse = |why: &str| StoreError::Sealed(format!("master key {}: {why}", index + 1));
            if index >= KEYS_MAX {
                return Err(refuse("too many keys"));
            }
            let (id, encoded) = entry.trim().split_once(':').ok_or_else(|| refuse("expected id:base64"))?;
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if id.is_empty() || id.len() > KEY_ID_MAX || !id.chars().all(good) {
                return Err(refuse("the id must be 1 to 64 letters, digits, '-', '_' or '.'"));
            }
            if keys.iter().any(|key| key.id == id) {
                return Err(refuse("its id is given twice"));
            }
            let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| refuse("not base64"))?);
            let master = bytes.as_slice().try_into().map_err(|_| refuse("not 32 bytes"))?;
            keys.push(Key::new(id.to_owned(), Zeroizing::new(master)));
        }
        Ok(KeyRing { keys: Arc::new(keys) })
    }

    /// Reads `master.key` in `data_dir`, or makes it, readable for its owner only.
    pub fn load_or_make(data_dir: &Path) -> Result<KeyRing, StoreError> {
        let path = data_dir.join(KEY_FILE);
        let refuse = |what: &str, error: std::io::Error| {
            StoreError::Sealed(format!("cannot {what} the master key {}: {error}", path.display()))
        };
        if !path.try_exists().map_err(|error| refuse("find", error))? {
            make_key_file(data_dir, &path).map_err(|error| refuse("make", error))?;
            tracing::info!(path = %path.display(), "a master key was made: keep a copy, sealed settings are lost with it");
        }
        check_mode(&path)?;
        let text = Zeroizing::new(std::fs::read_to_string(&path).map_err(|error| refuse("read", error))?);
        KeyRing::parse(&text)
    }

    fn first(&self) -> &Key {
        self.keys.first().expect("parse() puts at least one key into every ring")
    }
}

impl Key {
    fn new(id: String, master: Zeroizing<[u8; KEY_BYTES]>) -> Key {
        let seal = Zeroizing::new(expand(&master, SEAL_LABEL));
        Key { id, master, seal }
    }
}

fn expand(master: &[u8; KEY_BYTES], label: &str) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let info = [b"rialto/", label.as_bytes()].concat();
    Hkdf::<Sha256>::new(None, master).expand(&info, &mut key).expect("32 bytes are far below HKDF's limit");
    key
}

/// The complete file appears at once or not at all, and never replaces one that is there.
fn make_key_file(data_dir: &Path, path: &Path) -> std::io::Result<()> {
    let clock = Clock::default();
    let draft = data_dir.join(format!("{KEY_FILE}.{}", clock.new_id().simple()));
    let key = Zeroizing::new(clock.random::<KEY_BYTES>());
    let encoded = Zeroizing::new(STANDARD.encode(key.as_slice()));
    // A random id: after a lost key its values say that they belong to another one.
    let id = hex(&clock.random::<4>());
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = (|| {
        let mut file = options.open(&draft)?;
        file.write_all(id.as_bytes())?;
        file.write_all(b":")?;
        file.write_all(encoded.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        match std::fs::hard_link(&draft, path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }?;
        #[cfg(unix)]
        std::fs::File::open(data_dir)?.sync_all()?;
        Ok(())
    })();
    drop(std::fs::remove_file(&draft));
    made
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path)
        .map_err(|error| StoreError::Sealed(format!("cannot read the master key {}: {error}", path.display())))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(StoreError::Sealed(format!(
            "others may read the master key {}: run chmod 600 {}",
            path.display(),
            path.display()
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// Where a sealed value stands. A row that belongs to no tenant has the nil UUID there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub table: &'static str,
    pub column: &'static str,
    pub row: Uuid,
    pub tenant: Uuid,
}

impl Place {
    /// Lengths before texts: no two places give the same bytes.
    fn bind(&self, key_id: &str) -> Vec<u8> {
        let mut bound = vec![VERSION];
        for text in [key_id, self.table, self.column] {
            bound.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bound.extend_from_slice(text.as_bytes());
        }
        bound.extend_from_slice(self.row.as_bytes());
        bound.extend_from_slice(self.tenant.as_bytes());
        bound
    }
}

/// Seals and opens. Cheap to clone; prints key ids only.
#[derive(Clone, Debug)]
pub struct Vault {
    ring: KeyRing,
    clock: Clock,
}

impl Vault {
    pub fn new(ring: KeyRing) -> Vault {
        Vault { ring, clock: Clock::default() }
    }

    /// Version byte, length and text of the key id, nonce, ciphertext.
    pub fn seal(&self, place: &Place, plain: &[u8]) -> Vec<u8> {
        let key = self.ring.first();
        let nonce = self.clock.random::<NONCE_BYTES>();
        let payload = Payload { msg: plain, aad: &place.bind(&key.id) };
        let sealed = XChaCha20Poly1305::new(&(*key.seal).into())
            .encrypt(&XNonce::from(nonce), payload)
            .expect("encryption fails only beyond 256 GiB");
        let id_length = u8::try_from(key.id.len()).expect("parse() bounds a key id to 64 characters");
        [&[VERSION, id_length], key.id.as_bytes(), &nonce, &sealed].concat()
    }

    /// The plain bytes, if `sealed` was sealed for this very place with a key of the ring.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let refuse =
            |why: String| StoreError::Sealed(format!("{}.{} of {}: {why}", place.table, place.column, place.row));
        let (id, nonce, ciphertext) = split(sealed).ok_or_else(|| refuse("not a sealed value".into()))?;
        let key = self.ring.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| refuse(format!("sealed with key {id:?}, which is not in the ring")))?;
        let payload = Payload { msg: ciphertext, aad: &place.bind(&key.id) };
        XChaCha20Poly1305::new(&(*key.seal).into()).decrypt(&XNonce::from(nonce), payload).map_err(|_| {
            refuse("does not open: changed, moved from another place, or another key under this id".into())
        })
    }

    /// The id of the key that a value was sealed with; `None` where it is no sealed value of ours.
    pub fn key_of<'a>(&self, sealed: &'a [u8]) -> Option<&'a str> {
        split(sealed).map(|(id, _, _)| id)
    }

    /// Whether the value should be sealed again, because its key is no longer the first.
    pub fn is_outdated(&self, sealed: &[u8]) -> bool {
        split(sealed).is_none_or(|(id, _, _)| id != self.ring.first().id)
    }

    /// A key for one kind of token, from the first master key.
    pub fn derive(&self, label: &str) -> [u8; KEY_BYTES] {
        expand(&self.ring.first().master, &format!("token/{label}"))
    }

    /// The same from every master key, the first one first: tokens made before a rotation are still known.
    pub fn derive_all(&self, label: &str) -> Vec<[u8; KEY_BYTES]> {
        self.ring.keys.iter().map(|key| expand(&key.master, &format!("token/{label}"))).collect()
    }
}

/// Key id, nonce and ciphertext, if the layout is ours.
fn split(sealed: &[u8]) -> Option<(&str, [u8; NONCE_BYTES], &[u8])> {
    let (&version, rest) = sealed.split_first()?;
    let (&id_length, rest) = rest.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(id_length))?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let id = std::str::from_utf8(id).ok()?;
    (version == VERSION).then_some((id, *nonce, ciphertext))
}

/// What is stored of a random token of 256 bits: SHA-256 in hex. Such a token needs no salt and no slow hash. Looking a
/// hash up by an index tells an attacker nothing, because he cannot choose the hash.
pub fn hash_token(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// Whether the token has this hash, in a time that does not depend on where they differ.
pub fn token_matches(token: &str, hash: &str) -> bool {
    hash_token(token).as_bytes().ct_eq(hash.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
