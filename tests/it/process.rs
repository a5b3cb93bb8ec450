//! The program as a process of its own, to be killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rialto::store::testing::{TestDatabase, fresh_url};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::billwerk::Billwerk;
use crate::receiver::PATIENCE;

/// A place to start the program in again and again: a data directory, a database and an address.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub database: TestDatabase,
    pub address: String,
}

pub struct Process {
    child: Child,
}

impl Place {
    pub async fn new(kind: &str) -> Place {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address").to_string();
        Place { folder: tempfile::tempdir().expect("a folder"), database: fresh_url(kind), address }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("rialto-data")
    }

    /// Starts the demo and waits until it is ready. `more` is added to its environment.
    pub async fn start(&self, more: &[(&str, String)]) -> Process {
        let process = self.spawn(more);
        self.ready().await;
        process
    }

    pub fn spawn(&self, more: &[(&str, String)]) -> Process {
        let child = Command::new(env!("CARGO_BIN_EXE_rialto"))
            .args(["serve", "--demo"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("RIALTO_LISTEN", &self.address)
            .env("RIALTO_ADMIN_LISTEN", "127.0.0.1:0")
            .env("RIALTO_DATABASE_URL", &self.database.url)
            .env("RIALTO_DATA_DIR", self.data_dir())
            .env("RIALTO_MASTER_KEYS", rialto::store::testing::MASTER_KEYS)
            .envs(more.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log(self.folder.path())))
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        Process { child }
    }

    async fn ready(&self) {
        let url = format!("http://{}/health/ready", self.address);
        let waiting = async {
            // The demo is prepared once the server answers.
            let demo = self.data_dir().join("demo.json");
            while !demo.exists() || !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("not ready at {url}; its log: {}", self.log());
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn demo(&self) -> Value {
        let text = std::fs::read_to_string(self.data_dir().join("demo.json")).expect("demo.json");
        serde_json::from_str(&text).expect("JSON")
    }

    pub fn billwerk(&self) -> Billwerk {
        let demo = self.demo();
        let token = demo["billwerk"]["token"].as_str().expect("a token").to_owned();
        Billwerk::new(&format!("http://{}", self.address), &token, "http://127.0.0.1:9/hook")
    }
}

/// All starts write to one log, each after the other.
fn log(folder: &Path) -> std::fs::File {
    std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log file")
}

impl Process {
    /// SIGKILL: no handler runs, nothing is flushed.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it is killed");
    }

    /// Asks it to end, as a service manager does.
    #[cfg(unix)]
    pub fn ask_to_end(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        let asked = std::process::Command::new("kill").args(["-TERM", &pid]).status();
        assert!(asked.expect("a kill command").success());
    }

    /// Whether it ends by itself before the time is over.
    pub async fn ends_within(&mut self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.child.wait()).await.is_ok()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_some()
    }
}
