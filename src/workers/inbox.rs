//! Notices are read and applied, in the order in which they came due.

use rialto_adapters::port::Duration;
use tracing::Instrument as _;

use crate::flow::apply::hear::{NoticeRead, Unmatched};
use crate::flow::limits::{PARKED_FOR, PARKED_SWEEP};
use crate::flow::{Engine, FlowError};
use crate::store::Unit;
use crate::store::inbox::{self, Notice, NoticeState};

/// First wait before a notice is read again after a fault of ours; doubled up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(300);

/// Reads what is due. True if there may be more.
pub async fn sweep(engine: &Engine) -> Result<bool, FlowError> {
    let due = engine.store.notices_due(engine.clock.now()).await?;
    for notice in &due {
        let span = tracing::error_span!("notice", notice = %notice.id);
        if let Err(error) = read(engine, notice).instrument(span).await {
            tracing::error!(notice = %notice.id, connection = %notice.connection_id, %error, "notice not applied");
            let wait = RETRY_FIRST.saturating_mul(1 << notice.attempts.clamp(0, 16)).min(RETRY_MAX);
            let again = engine.clock.after(wait);
            settle(engine, notice, NoticeState::Waiting, Some(&error.to_string()), Some(again), &[]).await?;
        }
    }
    Ok(!due.is_empty())
}

async fn read(engine: &Engine, notice: &Notice) -> Result<(), FlowError> {
    let names = match engine.read_notice(notice).await? {
        NoticeRead::Applied => return settle(engine, notice, NoticeState::Done, None, None, &[]).await,
        NoticeRead::Ignored(why) => {
            return settle(engine, notice, NoticeState::Ignored, Some(&why), None, &[]).await;
        }
        NoticeRead::Unreadable(why) => {
            tracing::warn!(notice = %notice.id, why, "authentic notice cannot be read");
            return settle(engine, notice, NoticeState::Unreadable, Some(&why), None, &[]).await;
        }
        NoticeRead::Unmatched(names) => names,
    };
    let now = engine.clock.now();
    if now >= notice.received_at.plus(engine.clock.wait(PARKED_FOR)) {
        tracing::warn!(notice = %notice.id, ?names, "notice matches no transaction");
        return settle(engine, notice, NoticeState::Unmatched, None, None, &[]).await;
    }
    let sweep_at = engine.clock.after(PARKED_SWEEP);
    settle(engine, notice, NoticeState::Parked, None, Some(sweep_at), &names).await?;
    // The transaction may have become known between the reading and the parking: look once more.
    let mut parked = notice.clone();
    parked.attempts += 1;
    match engine.read_notice(&parked).await? {
        NoticeRead::Applied => settle(engine, &parked, NoticeState::Done, None, None, &[]).await,
        NoticeRead::Ignored(_) | NoticeRead::Unreadable(_) | NoticeRead::Unmatched(_) => Ok(()),
    }
}

async fn settle(
    engine: &Engine,
    notice: &Notice,
    state: NoticeState,
    text: Option<&str>,
    next_at: Option<rialto_adapters::port::Timestamp>,
    park_under: &[Unmatched],
) -> Result<(), FlowError> {
    let mut unit = Unit::new("settle_notice");
    inbox::settle_notice(&mut unit, notice, state, text, next_at);
    for name in park_under {
        let id = engine.clock.new_id();
        inbox::park(&mut unit, id, notice, name.namespace, &name.value, engine.clock.now());
    }
    if engine.store.run(unit).await?.is_err() {
        tracing::debug!(notice = %notice.id, "settled by another node");
    }
    Ok(())
}
