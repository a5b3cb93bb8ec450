//! Check, encode, send, normalize.

use super::manifest::{MANIFEST, WEBHOOK_SECRET};
use super::normalize::{Cursor, Found};
use super::{encode, normalize, notice};
use crate::port::adapter::{Adapter, Context};
use crate::port::instruction::{Instruction, Kind};
use crate::port::manifest::Manifest;
use crate::port::notice::{NoticeSecrets, RawNotice, Verification, Verified};
use crate::port::outcome::{BalanceAnswer, Fault, FaultCause, Feed, Lookup, Outcome, Probe, Read, Refusal};
use crate::port::reference::References;
use crate::port::time::Timestamp;

/// Pages of a prefix search that are looked through. Our references have one length, so that the first page decides.
const PAGES_MAX: u32 = 5;

/// The gateway's adapter.
pub struct PixGateway;

#[async_trait::async_trait]
impl Adapter for PixGateway {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn check(&self, instruction: &Instruction) -> Result<(), Refusal> {
        encode::check(instruction)
    }

    async fn submit(&self, context: &Context<'_>, instruction: &Instruction) -> Outcome {
        let not_attempted = |why: String| Outcome::NotSent(Fault::not_sent(FaultCause::NotAttempted, why));
        if let Err(refusal) = encode::check(instruction) {
            return not_attempted(refusal.to_string());
        }
        let Some(request) = encode::instruction(context.settings, instruction) else {
            return not_attempted("the gateway cannot do this".to_owned());
        };
        match context.wire.send(request, context.deadlines).await {
            Ok(reply) => normalize::outcome(instruction, &reply),
            Err(fault) => fault.into(),
        }
    }

    /// A refund is looked for among the events of its deposit.
    async fn lookup(&self, context: &Context<'_>, kind: Kind, references: &References) -> Lookup {
        let (ours, theirs) = match kind {
            Kind::Refund => (&references.parent_ours, &references.parent_theirs),
            Kind::StoreMeans | Kind::Preauth | Kind::Capture | Kind::Release | Kind::Charge | Kind::Payout => {
                (&references.ours, &references.theirs)
            }
        };
        if let Some(request) = theirs.as_deref().and_then(|id| encode::transaction(context.settings, id)) {
            return match context.wire.send(request, context.deadlines).await {
                Ok(reply) => normalize::one(kind, theirs.as_deref(), &reply),
                Err(fault) => Lookup::Unknown(fault),
            };
        }
        let Some(ours) = ours else { return Lookup::CannotAsk };
        for page in 1..=PAGES_MAX {
            match context.wire.send(encode::called(context.settings, &ours.0, page), context.deadlines).await {
                Ok(reply) => match normalize::called(kind, &ours.0, page, &reply) {
                    Found::NextPage => {}
                    Found::Answer(lookup) => return lookup,
                },
                Err(fault) => return Lookup::Unknown(fault),
            }
        }
        Lookup::Unknown(normalize::unreadable("too many transactions begin with our reference"))
    }

    async fn probe(&self, context: &Context<'_>) -> Probe {
        match context.wire.send(encode::balance(context.settings), context.deadlines).await {
            Ok(reply) => normalize::probe(&reply),
            Err(fault) => Probe::Unknown(fault),
        }
    }

    async fn balance(&self, context: &Context<'_>) -> BalanceAnswer {
        match context.wire.send(encode::balance(context.settings), context.deadlines).await {
            Ok(reply) => normalize::balance(&reply).map_or_else(BalanceAnswer::Unknown, BalanceAnswer::Known),
            Err(fault) => BalanceAnswer::Unknown(fault),
        }
    }

    /// Transactions by the time of their last event. The cursor comes back unchanged once nothing new is there.
    async fn feed(&self, context: &Context<'_>, cursor: Option<&str>) -> Feed {
        let cursor = Cursor::read(cursor, context.now);
        let request = encode::updated(context.settings, cursor.since, cursor.page);
        match context.wire.send(request, context.deadlines).await {
            Ok(reply) => normalize::feed(cursor, &reply),
            Err(fault) => Feed::Unknown(fault),
        }
    }

    fn verify(&self, secrets: &NoticeSecrets, notice: &RawNotice, _now: Timestamp) -> Verification {
        notice::verify(secrets, notice)
    }

    fn read(&self, verified: &Verified) -> Read {
        notice::read(verified)
    }

    fn notice_secret_setting(&self) -> Option<&'static str> {
        Some(WEBHOOK_SECRET)
    }
}
