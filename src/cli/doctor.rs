//! `rialto doctor`: what only this machine can see – settings, folder, disk, modes of files, whether a server runs – and
//! then what the server says of itself, or, where none runs, what can be found out without one.

use std::fs;
use std::path::Path;

use anyhow::bail;
use poem_openapi::types::{ParseFromJSON as _, ToJSON as _};

use super::door::Door;
use super::page::Page;
use crate::admin::doctor::{CheckItem, Diagnosis};
use crate::app::lock::{Lock, Presence, Taken};
use crate::app::{engine_as_it_is, open};
use crate::config::{Config, ConfigErrors};
use crate::flow::doctor::{Check, Grade};

/// A database that finds no room stops everything.
const FREE_WARN: u64 = 2 * 1024 * 1024 * 1024;
const FREE_FAIL: u64 = 200 * 1024 * 1024;

/// Settings that cannot be read leave nothing else to check.
pub fn unreadable(json: bool, errors: &ConfigErrors) -> anyhow::Result<()> {
    let check = |error: &crate::config::ConfigError| {
        Check::fail(
            "settings",
            format!("{}: {}", error.name, error.text),
            "mend it in the environment or in rialto.toml",
        )
    };
    tell(json, Diagnosis::of(errors.0.iter().map(check).collect()))
}

pub async fn run(config: &Config, json: bool) -> anyhow::Result<()> {
    let mut checks = vec![Check::ok("settings", "they can be read")];
    let there = folder(config, &mut checks);
    let rest = if there { inside(config, &mut checks).await } else { Vec::new() };
    let mut diagnosis = Diagnosis::of(checks);
    diagnosis.well &= rest.iter().all(|check| check.grade != Grade::Fail.as_str());
    diagnosis.checks.extend(rest);
    tell(json, diagnosis)
}

/// What lies behind the data directory: the server that runs there, or the database without one.
async fn inside(config: &Config, checks: &mut Vec<Check>) -> Vec<CheckItem> {
    let items = |check: Check| vec![CheckItem::from(check)];
    match Lock::take(&config.data_dir).await {
        Ok(Taken::Server(Presence { admin, pid })) => {
            checks.push(Check::ok("server", format!("it runs (process {pid}) and answers operators at {admin}")));
            match ask(config).await {
                Ok(diagnosis) => diagnosis.checks,
                Err(error) => {
                    let advice = "is it the server's admin address, and RIALTO_ADMIN_KEY an operator's key?";
                    items(Check::fail("server", format!("it does not say how it is: {error:#}"), advice))
                }
            }
        }
        Ok(Taken::Ours(_lock)) => {
            checks.push(Check::ok("server", "none runs here; the database is looked at directly"));
            alone(config).await
        }
        Err(error) => items(Check::fail("server", format!("{error:#}"), "end the process that holds server.lock")),
    }
}

async fn ask(config: &Config) -> anyhow::Result<Diagnosis> {
    let answer = Door::find(config).await?.get("/admin/doctor").await?;
    match Diagnosis::parse_from_json(Some(answer)) {
        Ok(diagnosis) => Ok(diagnosis),
        Err(_) => bail!("it is of another version"),
    }
}

async fn alone(config: &Config) -> Vec<CheckItem> {
    let unborn = config.sqlite_file().is_some_and(|file| fs::metadata(file).map_or(true, |file| file.len() == 0));
    if unborn {
        let advice = "`rialto serve` makes it at its first start";
        return vec![Check::warn("database", "there is none yet", advice).into()];
    }
    match engine_as_it_is(config).await {
        Ok(engine) => Diagnosis::of(engine.examine().await).checks,
        Err(error) => {
            let text = format!("{error:#}");
            vec![Check::fail("database", text, "do what the text says; the server would not start either").into()]
        }
    }
}

/// The data directory and what lies in it. False where there is none.
fn folder(config: &Config, checks: &mut Vec<Check>) -> bool {
    let path = &config.data_dir;
    let name = path.display();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            checks.push(Check::fail("folder", format!("{name} is no folder"), "set RIALTO_DATA_DIR to one"));
            return false;
        }
        Err(error) => {
            let advice = "`rialto serve` makes it at its first start; else set RIALTO_DATA_DIR to where it is";
            checks.push(Check::warn("folder", format!("{name}: {error}"), advice));
            return false;
        }
    }
    let draft = path.join("doctor");
    let written = open::write_private(&draft, b"may be removed\n").and_then(|()| Ok(fs::remove_file(&draft)?));
    match written {
        Ok(()) => checks.push(Check::ok("folder", format!("{name} can be written"))),
        Err(error) => {
            let advice = "let the user that runs rialto write there, and look whether the disk is full";
            checks.push(Check::fail("folder", format!("{error:#}"), advice));
        }
    }
    checks.extend(room(path));
    let database = config.sqlite_file();
    let files = [Some(path.join("master.key")), Some(path.join("admin.key")), Some(path.join("demo.json")), database];
    let exposed: Vec<Check> = files.iter().flatten().filter_map(|file| exposed(file)).collect();
    if exposed.is_empty() {
        checks.push(Check::ok("files", "keys and database are for their owner only"));
    }
    checks.extend(exposed);
    true
}

#[cfg(unix)]
fn exposed(file: &Path) -> Option<Check> {
    use std::os::unix::fs::PermissionsExt as _;
    // What is not there is nobody's to read.
    let mode = fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let name = file.display();
    (mode & 0o077 != 0)
        .then(|| Check::fail("files", format!("others may read {name} (mode {mode:o})"), format!("chmod 600 {name}")))
}

#[cfg(not(unix))]
fn exposed(_file: &Path) -> Option<Check> {
    None
}

#[cfg(unix)]
fn room(path: &Path) -> Option<Check> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(room_of(disk.f_bavail.saturating_mul(disk.f_frsize)))
}

#[cfg(not(unix))]
fn room(_path: &Path) -> Option<Check> {
    None
}

fn room_of(free: u64) -> Check {
    let found = format!("{} MiB are free", free / (1024 * 1024));
    let advice = "make room: without it nothing is stored, and nothing is accepted";
    match free {
        free if free < FREE_FAIL => Check::fail("disk", found, advice),
        free if free < FREE_WARN => Check::warn("disk", found, advice),
        _ => Check::ok("disk", found),
    }
}

fn tell(json: bool, diagnosis: Diagnosis) -> anyhow::Result<()> {
    if json {
        println!("{}", diagnosis.to_json().unwrap_or_default());
    } else {
        print!("{}", text(&diagnosis));
    }
    let count = |grade: Grade| diagnosis.checks.iter().filter(|check| check.grade == grade.as_str()).count();
    match (diagnosis.well, count(Grade::Fail)) {
        (true, _) => Ok(()),
        (false, failed) => bail!("{failed} of {} checks failed", diagnosis.checks.len()),
    }
}

fn text(diagnosis: &Diagnosis) -> String {
    let mut page = Page::default();
    for CheckItem { what, of, grade, found, advice } in &diagnosis.checks {
        let grade = if grade == Grade::Fail.as_str() { "FAIL" } else { grade };
        let of = of.as_ref().map(|of| format!("{of}: ")).unwrap_or_default();
        page.line(&format!("{grade:<5} {what:<12} "), &format!("{of}{found}"));
        if let Some(advice) = advice {
            page.line(&format!("{:<18} → ", ""), advice);
        }
    }
    let warnings = diagnosis.checks.iter().filter(|check| check.grade == Grade::Warn.as_str()).count();
    match (diagnosis.well, warnings) {
        (true, 0) => page.line("", "All is well."),
        (true, _) => page.line("", &format!("Everything works; warnings: {warnings}.")),
        (false, _) => page.line("", "Something does not work."),
    }
    page.text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_on_the_disk() {
        for (free, grade) in [
            (0, Grade::Fail),
            (FREE_FAIL - 1, Grade::Fail),
            (FREE_FAIL, Grade::Warn),
            (FREE_WARN, Grade::Ok),
            (u64::MAX, Grade::Ok),
        ] {
            assert_eq!(room_of(free).grade, grade, "{free}");
        }
    }

    #[test]
    fn what_is_printed() {
        let check = Check { of: Some("https://shop.example".to_owned()), ..Check::warn("endpoint", "silent", "ask") };
        let told = text(&Diagnosis::of(vec![Check::ok("disk", "free"), check.clone()]));
        assert_eq!(
            told,
            "ok    disk         free\nwarn  endpoint     https://shop.example: silent\n                   → ask\n\
             Everything works; warnings: 1.\n"
        );
        let failed = Diagnosis::of(vec![check, Check::fail("disk", "full", "make room")]);
        assert!(!failed.well && text(&failed).contains("FAIL  disk"));
    }
}
