//! What the compiler cannot hold: floors, and one door for each dangerous thing. Reads the sources as text.

use std::fs;
use std::path::{Path, PathBuf};

/// Sources of this crate and of the adapters, as (path from the root, text). Tests are left out: they may look inside.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for top in ["src", "adapters", "migrations"] {
        walk(&root.join(top), &mut found);
    }
    let is_test = |path: &str| {
        path.ends_with("tests.rs")
            || path.contains("/tests/")
            || path.contains("test_")
            || path.contains("/conformance/")
    };
    let mut sources: Vec<(String, String)> = found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            let text = fs::read_to_string(&path).expect("a readable source");
            // Unit tests stand at the end of a file.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            (name, code)
        })
        .filter(|(name, _)| !is_test(name))
        .collect();
    sources.sort();
    assert!(sources.len() > 50, "the walk found the sources");
    sources
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Code without comments: a doc comment may name what code may not.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The floor of a top-level module; a file imports only from lower floors and from its own module.
fn floor(module: &str) -> Option<u8> {
    Some(match module {
        "cli" | "main" | "app" => 5,
        "contracts" | "hooks" | "workers" | "admin" | "console" | "psp" => 4,
        "flow" | "profiles" | "pages" => 3,
        "store" | "wire" => 2,
        "core" | "http" | "config" | "clock" | "telemetry" | "metrics" => 1,
        _ => return None,
    })
}

#[test]
fn a_file_imports_only_from_lower_floors() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(inside) = path.strip_prefix("src/") else { continue };
        let own = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        if own == "lib" {
            continue;
        }
        let own_floor = floor(own).unwrap_or_else(|| panic!("{path} stands on no floor: name it in this test"));
        for part in code(&text).split("crate::").skip(1) {
            let imported: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let Some(imported_floor) = floor(&imported) else { continue };
            // On the top floor everything may be put together.
            let allowed = imported == own || imported_floor < own_floor || own_floor == 5;
            if !allowed {
                wrong.push(format!("{path} (floor {own_floor}) imports crate::{imported} (floor {imported_floor})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each dangerous thing has one door: the text that does it, and the only places where it may stand.
const DOORS: &[(&str, &str, &[&str])] = &[
    ("only submit sends", ".submit(&context", &["src/flow/submit.rs"]),
    ("only inquire asks", ".lookup(&context", &["src/flow/inquire.rs"]),
    ("only inquire probes", ".probe(&context", &["src/flow/inquire.rs"]),
    // A vendor's constant sample is no notice: checking it believes nothing.
    ("only hooks verify", "adapter.verify(", &["src/hooks.rs", "adapters/port/notice.rs"]),
    ("only apply reads notices", "adapter.read(", &["src/flow/apply/"]),
    ("only apply vouches for a stored verdict", "Verified::restored", &["src/flow/apply/"]),
    (
        "only submit, inquire and apply write a state",
        "transactions::advance(",
        &["src/flow/apply/", "src/flow/submit.rs", "src/flow/inquire.rs"],
    ),
    ("only a proof leads to LoginError", "Code::LoginError", &["src/contracts/billwerk/errors.rs"]),
    ("nothing leads to PermissionDenied", "Code::PermissionDenied", &["src/contracts/billwerk/errors.rs"]),
    ("only the clock reads the time", "SystemTime::now", &["src/clock.rs"]),
    ("only the clock makes randomness", "getrandom::", &["src/clock.rs", "src/store/vault.rs", "src/store/vault/"]),
    ("only the clock makes ids", "now_v7", &["src/clock.rs", "src/store/testing.rs"]),
    ("only the wire speaks HTTP to the outside", "reqwest::", &["src/wire/", "src/cli/"]),
    ("only the store knows the database", "sea_orm::", &["src/store/", "migrations/"]),
];

#[test]
fn each_dangerous_thing_has_one_door() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let code = code(&text);
        for (rule, word, doors) in DOORS {
            if code.contains(word) && !doors.iter().any(|door| path.starts_with(door)) {
                wrong.push(format!("{path}: {rule} (`{word}`)"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let forbidden =
        ["async ", ".await", "serde", "tokio", "std::time", "std::fs", "std::net", "std::env", "uuid", "rand"];
    let mut wrong = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with("src/core/")) {
        let code = code(&text);
        wrong.extend(forbidden.iter().filter(|word| code.contains(**word)).map(|word| format!("{path}: `{word}`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_adapter_is_registered_and_knows_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
    let registry = fs::read_to_string(root.join("lib.rs")).expect("the registry");
    let folders: Vec<String> = fs::read_dir(&root)
        .expect("a folder")
        .filter_map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name()?.to_string_lossy().into_owned();
            (path.is_dir() && name != "port" && path.join("mod.rs").exists()).then_some(name)
        })
        .collect();
    assert!(!folders.is_empty());
    for folder in &folders {
        assert!(registry.contains(&format!("&{folder}::")), "adapters/lib.rs lists {folder}");
        for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with(&format!("adapters/{folder}/"))) {
            for other in folders.iter().filter(|other| *other != folder) {
                assert!(!text.contains(&format!("crate::{other}")), "{path} imports {other}");
            }
            for word in ["SystemTime", "std::env", "Instant::now", "getrandom"] {
                assert!(!code(&text).contains(word), "{path}: an adapter reads no {word}");
            }
        }
    }
}
