//! Encode, send, normalize.

use super::manifest::{MANIFEST, WEBHOOK_SECRET};
use super::{encode, normalize, notice};
use crate::port::adapter::{Adapter, Context};
use crate::port::instruction::{Instruction, Kind};
use crate::port::manifest::Manifest;
use crate::port::notice::{NoticeSample, NoticeSecrets, RawNotice, Verification, Verified};
use crate::port::outcome::{BalanceAnswer, Fault, FaultCause, Feed, Lookup, Outcome, Probe, Read, Refusal};
use crate::port::reference::References;
use crate::port::time::Timestamp;

/// The sandbox's adapter.
pub struct Sandbox;

#[async_trait::async_trait]
impl Adapter for Sandbox {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    /// The sandbox says itself what is wrong with a request, so that its refusals can be tried out.
    fn check(&self, _instruction: &Instruction) -> Result<(), Refusal> {
        Ok(())
    }

    async fn submit(&self, context: &Context<'_>, instruction: &Instruction) -> Outcome {
        let Some(request) = encode::instruction(context.settings, context.hook_url, instruction) else {
            return Outcome::NotSent(Fault::not_sent(FaultCause::NotAttempted, "the sandbox cannot do this"));
        };
        match context.wire.send(request, context.deadlines).await {
            Ok(reply) => normalize::outcome(instruction.kind(), instruction.reference(), &reply),
            Err(fault) => fault.into(),
        }
    }

    async fn lookup(&self, context: &Context<'_>, _kind: Kind, references: &References) -> Lookup {
        let Some(ours) = &references.ours else {
            return Lookup::CannotAsk;
        };
        match context.wire.send(encode::lookup(context.settings, ours), context.deadlines).await {
            Ok(reply) => normalize::lookup(&reply),
            Err(fault) => Lookup::Unknown(fault),
        }
    }

    async fn probe(&self, context: &Context<'_>) -> Probe {
        match context.wire.send(encode::account(context.settings), context.deadlines).await {
            Ok(reply) => normalize::probe(&reply),
            Err(fault) => Probe::Unknown(fault),
        }
    }

    async fn balance(&self, _context: &Context<'_>) -> BalanceAnswer {
        BalanceAnswer::Unsupported
    }

    async fn feed(&self, _context: &Context<'_>, _cursor: Option<&str>) -> Feed {
        Feed::Unsupported
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

    fn notice_sample(&self) -> Option<&'static NoticeSample> {
        Some(&notice::SAMPLE)
    }
}
