use super::*;

const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "new:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn vault(keys: &str) -> Vault {
    Vault::new(KeyRing::parse(keys).expect("a well-formed ring"))
}

fn place() -> Place {
    Place { table: "settings", column: "sealed", row: Uuid::from_u128(1), tenant: Uuid::from_u128(2) }
}

#[test]
fn a_sealed_value_opens_only_where_it_was_sealed() {
    let vault = vault(OLD);
    let here = place();
    let sealed = vault.seal(&here, b"sk_live_1");
    assert_eq!(vault.open(&here, &sealed), Ok(b"sk_live_1".to_vec()));
    let elsewhere = [
        Place { table: "endpoints", ..here },
        Place { column: "other", ..here },
        Place { row: Uuid::from_u128(3), ..here },
        Place { tenant: Uuid::from_u128(3), ..here },
        // The same bytes with the border between two names moved.
        Place { table: "settingss", column: "ealed", ..here },
    ];
    for place in elsewhere {
        assert!(matches!(vault.open(&place, &sealed), Err(StoreError::Sealed(_))), "{place:?}");
    }
}

#[test]
fn a_changed_value_does_not_open() {
    let vault = vault(OLD);
    let sealed = vault.seal(&place(), b"plain");
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert!(vault.open(&place(), &changed).is_err(), "byte {index}");
        assert!(vault.open(&place(), &sealed[..index]).is_err(), "cut at {index}");
    }
}

#[test]
fn sealing_twice_gives_different_bytes_and_never_the_plain_ones() {
    let vault = vault(OLD);
    let (one, two) = (vault.seal(&place(), b"plain text"), vault.seal(&place(), b"plain text"));
    assert_ne!(one, two);
    assert!(!one.windows(10).any(|window| window == b"plain text"));
    assert_eq!(vault.open(&place(), &vault.seal(&place(), b"")), Ok(Vec::new()));
}

#[test]
fn after_a_rotation_the_first_key_seals_and_all_open() {
    let before = vault(OLD);
    let sealed = before.seal(&place(), b"secret");
    let rotated = vault(&format!("{NEW},{OLD}"));
    assert_eq!(rotated.open(&place(), &sealed), Ok(b"secret".to_vec()));
    assert!(rotated.is_outdated(&sealed));

    let resealed = rotated.seal(&place(), b"secret");
    assert!(!rotated.is_outdated(&resealed));
    assert_eq!(vault(NEW).open(&place(), &resealed), Ok(b"secret".to_vec()));
    let Err(StoreError::Sealed(text)) = before.open(&place(), &resealed) else { panic!("the old ring opens it") };
    assert!(text.contains("\"new\""), "{text}");
    // Another key under a known id is no way in.
    let imposter = NEW.replace("new:", "old:");
    assert!(vault(&imposter).open(&place(), &sealed).is_err());
}

#[test]
fn token_keys_differ_by_label_and_survive_a_rotation() {
    let before = vault(OLD);
    let rotated = vault(&format!("{NEW},{OLD}"));
    assert_eq!(before.derive("page"), before.derive("page"));
    assert_ne!(before.derive("page"), before.derive("session"));
    assert_ne!(before.derive("page"), rotated.derive("page"));
    assert_eq!(rotated.derive_all("page"), vec![rotated.derive("page"), before.derive("page")]);
    // No label gives the key that seals.
    assert_ne!(before.derive(SEAL_LABEL), *before.ring.first().seal);
}

#[test]
fn rings_are_read_or_refused_without_quoting_a_key() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let many = (0..=KEYS_MAX).map(|index| format!("k{index}:{key}")).collect::<Vec<_>>().join(",");
    let bad = [
        String::new(),
        key.to_owned(),
        format!(":{key}"),
        format!("a b:{key}"),
        format!("{}:{key}", "x".repeat(KEY_ID_MAX + 1)),
        format!("a:{key},a:{key}"),
        format!("a:{key},"),
        "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd".to_owned(),
        "a:not base64".to_owned(),
        many,
    ];
    for text in bad {
        let Err(error) = KeyRing::parse(&text) else { panic!("{text:?} is accepted") };
        assert!(!error.to_string().contains("AAECAw"), "{error}");
    }
    assert!(KeyRing::parse(&format!(" {OLD} , {NEW}\n")).is_ok());
}

#[test]
fn debug_prints_ids_and_no_key() {
    let printed = format!("{:?}", vault(&format!("{NEW},{OLD}")));
    assert!(printed.contains("new") && printed.contains("old"), "{printed}");
    assert!(!printed.contains("AAEC") && !printed.contains("[0, 1, 2") && !printed.contains("ICEi"), "{printed}");
}

#[test]
fn the_key_file_is_made_once_and_private() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = Vault::new(KeyRing::load_or_make(folder.path()).expect("a key is made"));
    let sealed = made.seal(&place(), b"secret");
    let loaded = Vault::new(KeyRing::load_or_make(folder.path()).expect("the key is there"));
    assert_eq!(loaded.open(&place(), &sealed), Ok(b"secret".to_vec()));
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("readable").flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, [KEY_FILE], "no draft is left behind");

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join(KEY_FILE);
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(KeyRing::load_or_make(folder.path()).is_err(), "a key that others may read is refused");
    }
    assert!(KeyRing::load_or_make(Path::new("/nonexistent/rialto")).is_err());
}

#[test]
fn token_hashes() {
    assert_eq!(hash_token("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert!(token_matches("abc", &hash_token("abc")));
    assert!(!token_matches("abd", &hash_token("abc")));
    assert!(!token_matches("abc", ""));
}
