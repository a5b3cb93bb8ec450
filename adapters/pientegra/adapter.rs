//! Encode, send, normalize.

use super::manifest::{MANIFEST, WEBHOOK_SECRET};
use super::{encode, feed, normalize, notice};
use crate::port::adapter::{Adapter, Context};
use crate::port::instruction::{Instruction, Kind};
use crate::port::manifest::Manifest;
use crate::port::notice::{NoticeSecrets, RawNotice, Verification, Verified};
use crate::port::outcome::{BalanceAnswer, Fault, FaultCause, Feed, Lookup, Outcome, Probe, Read, Refusal};
use crate::port::reference::References;
use crate::port::time::Timestamp;

/// Pientegra's adapter.
pub struct Pientegra;

#[async_trait::async_trait]
impl Adapter for Pientegra {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn check(&self, instruction: &Instruction) -> Result<(), Refusal> {
        encode::check(instruction)
    }

    async fn submit(&self, context: &Context<'_>, instruction: &Instruction) -> Outcome {
        if let Err(refusal) = encode::check(instruction) {
            return normalize::refused(instruction.kind(), instruction.reference(), refusal);
        }
        let Some(request) = encode::instruction(context.settings, instruction) else {
            return Outcome::NotSent(Fault::not_sent(FaultCause::NotAttempted, "Pientegra cannot do this"));
        };
        match context.wire.send(request, context.deadlines).await {
            Ok(reply) => normalize::outcome(instruction.kind(), instruction.reference(), &reply),
            Err(fault) => fault.into(),
        }
    }

    async fn lookup(&self, context: &Context<'_>, kind: Kind, references: &References) -> Lookup {
        let Some(collection) = encode::collection(kind) else { return Lookup::CannotAsk };
        let (request, theirs) = match (&references.theirs, &references.ours) {
            (Some(theirs), _) => (Some(encode::lookup(context.settings, collection, theirs)), Some(theirs)),
            (None, Some(ours)) => (encode::anything_since(context.settings, collection, ours), None),
            (None, None) => (None, None),
        };
        let Some(request) = request else { return Lookup::CannotAsk };
        match (context.wire.send(request, context.deadlines).await, theirs) {
            (Ok(reply), Some(theirs)) => normalize::lookup(kind, theirs, &reply),
            (Ok(reply), None) => normalize::anything(&reply),
            (Err(fault), _) => Lookup::Unknown(fault),
        }
    }

    async fn probe(&self, context: &Context<'_>) -> Probe {
        match context.wire.send(encode::probe(context.settings), context.deadlines).await {
            Ok(reply) => normalize::probe(&reply),
            Err(fault) => Probe::Unknown(fault),
        }
    }

    async fn balance(&self, _context: &Context<'_>) -> BalanceAnswer {
        BalanceAnswer::Unsupported
    }

    async fn feed(&self, context: &Context<'_>, cursor: Option<&str>) -> Feed {
        let position = feed::Position::read(cursor, context.now);
        match context.wire.send(feed::request(context.settings, &position), context.deadlines).await {
            Ok(reply) => feed::read(position, &reply),
            Err(fault) => Feed::Unknown(fault),
        }
    }

    fn verify(&self, secrets: &NoticeSecrets, notice: &RawNotice, now: Timestamp) -> Verification {
        notice::verify(secrets, notice, now)
    }

    fn read(&self, verified: &Verified) -> Read {
        notice::read(verified)
    }

    fn notice_secret_setting(&self) -> Option<&'static str> {
        Some(WEBHOOK_SECRET)
    }
}
