//! The trait an adapter implements. Object-safe, stateless; no default for anything that could be forgotten.

use super::instruction::{Instruction, Kind};
use super::manifest::Manifest;
use super::notice::{NoticeSample, NoticeSecrets, RawNotice, Verification, Verified};
use super::outcome::{BalanceAnswer, Feed, Lookup, Outcome, Probe, Read, Refusal};
use super::reference::References;
use super::settings::Settings;
use super::time::Timestamp;
use super::wire::{Deadlines, Wire};

/// Everything a call may know besides its arguments.
pub struct Context<'a> {
    pub settings: &'a Settings,
    pub wire: &'a dyn Wire,
    pub now: Timestamp,
    /// Fresh random bytes for this one call.
    pub nonce: [u8; 16],
    pub deadlines: Deadlines,
    /// Where the PSP is to post its notices.
    pub hook_url: &'a str,
}

/// The code for one PSP.
#[async_trait::async_trait]
pub trait Adapter: Send + Sync {
    fn manifest(&self) -> &'static Manifest;

    /// What can be seen to be wrong with an instruction before anything is sent: a key, a document, a check digit. Pure.
    /// `submit` may rely on it having been asked, and must send nothing wrong without it.
    fn check(&self, instruction: &Instruction) -> Result<(), Refusal>;

    /// Sends one instruction, once. Never retries.
    async fn submit(&self, context: &Context<'_>, instruction: &Instruction) -> Outcome;

    /// Asks what has become of a transaction of this kind.
    async fn lookup(&self, context: &Context<'_>, kind: Kind, references: &References) -> Lookup;

    /// Tries the settings out; moves no money.
    async fn probe(&self, context: &Context<'_>) -> Probe;

    async fn balance(&self, context: &Context<'_>) -> BalanceAnswer;

    /// The next page of the PSP's own event ledger.
    async fn feed(&self, context: &Context<'_>, cursor: Option<&str>) -> Feed;

    /// Checks where a notice comes from. Pure.
    fn verify(&self, secrets: &NoticeSecrets, notice: &RawNotice, now: Timestamp) -> Verification;

    /// Reads a notice that was verified. Pure.
    fn read(&self, verified: &Verified) -> Read;

    /// The setting that holds the secret its notices are signed with; `None` where they are not signed.
    fn notice_secret_setting(&self) -> Option<&'static str>;

    /// A notice with its signature from the vendor's own documents, by which a running program checks its checker. `None`
    /// where there is none to be had; what is missing then is a check, so it is the one thing here with a default.
    fn notice_sample(&self) -> Option<&'static NoticeSample> {
        None
    }
}
