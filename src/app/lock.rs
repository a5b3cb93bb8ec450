//! One process per data directory. A lock file is held for as long as a server runs or a command writes; the operating
//! system lets it go however the process ends. A server writes into it where its admin API is, so that commands given
//! beside it can ask it.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

const FILE: &str = "server.lock";
/// Another command holds the lock for a moment only.
const TRIES_MAX: u32 = 50;
const TRY_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
/// More than the file ever has; what else stands there is not read.
const FILE_BYTES_MAX: u64 = 4 * 1024;

/// What a running server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Where its admin API answers on this machine: `http://127.0.0.1:8090`.
    pub admin: String,
    pub pid: u32,
}

/// The lock of a data directory, held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// What came of trying to get the lock.
#[derive(Debug)]
pub enum Taken {
    Ours(Lock),
    /// A server runs here.
    Server(Presence),
}

impl Lock {
    /// Takes the lock, waiting a little for commands.
    ///
    /// # Errors
    /// If the file cannot be written, or something holds the lock for long without saying where it answers.
    pub async fn take(data_dir: &Path) -> anyhow::Result<Taken> {
        let path = data_dir.join(FILE);
        let clock = Clock::default();
        for _ in 0..TRIES_MAX {
            let mut file = open(&path).with_context(|| format!("cannot write {}", path.display()))?;
            match file.try_lock() {
                Ok(()) => {
                    // What an ended server has left here.
                    file.set_len(0).with_context(|| format!("cannot write {}", path.display()))?;
                    return Ok(Taken::Ours(Lock { file }));
                }
                Err(std::fs::TryLockError::WouldBlock) => {}
                Err(std::fs::TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            if let Some(presence) = read(&mut file) {
                return Ok(Taken::Server(presence));
            }
            clock.sleep(TRY_PAUSE).await;
        }
        anyhow::bail!("another rialto process uses {} and does not end; try again later", data_dir.display())
    }

    /// Says where this server's admin API is.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn announce(&mut self, presence: &Presence) -> anyhow::Result<()> {
        let text = serde_json::to_vec(presence)?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&text)?;
        Ok(())
    }
}

fn open(path: &PathBuf) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn read(file: &mut File) -> Option<Presence> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holds_it_and_says_where_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let Taken::Ours(mut lock) = Lock::take(folder.path()).await.expect("the lock") else { panic!("it is free") };
        let presence = Presence { admin: "http://127.0.0.1:8090".to_owned(), pid: 7 };
        lock.announce(&presence).expect("a writable file");
        match Lock::take(folder.path()).await.expect("an answer") {
            Taken::Server(found) => assert_eq!(found, presence),
            Taken::Ours(_) => panic!("two hold it"),
        }
        drop(lock);
        let Taken::Ours(_) = Lock::take(folder.path()).await.expect("the lock") else { panic!("nobody holds it") };
    }
}
