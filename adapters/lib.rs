//! The payment service providers Rialto speaks, and the language it speaks with all of them.
//!
//! In reading order:
//! - [`port`] – what every adapter is written against: instructions, outcomes, reports, manifest, notices, wire.
//! - [`pientegra`] – bank transfers in Turkish lira: hosted deposits, withdrawals to an IBAN.
//! - [`pix_gateway`] – PIX of Brazil through a gateway: deposits, withdrawals, refunds.
//! - [`sandbox`] – the scriptable provider built into Rialto; the adapter to copy when you add your own.
//!
//! [`registry`] is the one line an adapter needs beside its folder.

pub mod pientegra;
pub mod pix_gateway;
pub mod port;
pub mod sandbox;

use port::Adapter;

/// Every adapter this build speaks, in the order in which they are shown to people.
pub fn registry() -> &'static [&'static dyn Adapter] {
    &[&sandbox::Sandbox, &pientegra::Pientegra, &pix_gateway::PixGateway]
}

/// The adapter called `name` (`manifest().name`), if this build has it.
pub fn find(name: &str) -> Option<&'static dyn Adapter> {
    registry().iter().copied().find(|adapter| adapter.manifest().name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use port::conformance::{BLESS, capability_table, manifest_faults};

    /// What every adapter's folder holds, so that whoever knows one knows them all.
    const FILES: &[&str] = &[
        "adapter.rs",
        "cases",
        "contract.rs",
        "encode.rs",
        "manifest.rs",
        "mod.rs",
        "normalize.rs",
        "notice.rs",
        "tests.rs",
    ];

    fn folder() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn every_folder_is_registered_and_holds_the_same_files() {
        let names: BTreeSet<String> = registry().iter().map(|a| a.manifest().name.to_owned()).collect();
        assert_eq!(names.len(), registry().len(), "two adapters have one name");
        let mut folders = BTreeSet::new();
        for entry in fs::read_dir(folder()).expect("the crate's folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && name != "port" && name != "target" {
                for file in FILES {
                    assert!(entry.path().join(file).exists(), "{name} lacks {file}");
                }
                folders.insert(name);
            }
        }
        assert_eq!(names, folders, "the registry and the folders");
    }

    #[test]
    fn every_manifest_makes_sense() {
        for adapter in registry() {
            assert_eq!(manifest_faults(*adapter), Vec::<String>::new(), "{}", adapter.manifest().name);
        }
    }

    #[test]
    fn every_checker_knows_its_vendors_sample() {
        for adapter in registry() {
            if let Some(sample) = adapter.notice_sample() {
                assert_eq!(sample.check(*adapter), Ok(()), "{}", adapter.manifest().name);
            }
        }
        let sample = find("sandbox").and_then(|adapter| adapter.notice_sample()).expect("the sandbox has one");
        let other = port::notice::NoticeSample { secret: "whsec_of_somebody_else", ..*sample };
        assert!(other.check(&sandbox::Sandbox).is_err_and(|why| why.contains("is rejected")));
    }

    #[test]
    fn the_table_in_the_readme_is_what_the_manifests_say() {
        const BEGIN: &str = "<!-- capabilities -->\n";
        const END: &str = "<!-- /capabilities -->";
        let path = folder().join("README.md");
        let readme = fs::read_to_string(&path).expect("README.md");
        let (before, rest) = readme.split_once(BEGIN).expect("the begin mark");
        let (_, after) = rest.split_once(END).expect("the end mark");
        let right = format!("{before}{BEGIN}{}{END}{after}", capability_table(registry()));
        if std::env::var(BLESS).is_ok_and(|value| value == "1") {
            fs::write(&path, right).expect("README.md can be written");
        } else {
            assert!(readme == right, "adapters/README.md is stale; RIALTO_BLESS=1 writes it anew:\n{right}");
        }
    }
}
