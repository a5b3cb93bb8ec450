//! Finished spans go to an OpenTelemetry collector: OTLP over HTTP, as JSON, over our own wire. What a collector does not
//! take is dropped and counted; nothing waits for it.

use std::time::Duration;

use rialto_adapters::port::Fault;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::metrics;
use crate::telemetry::{Finished, Outlet, document};
use crate::wire::{Guard, PostAnswer, Poster, WireOptions, WireSetupError};

/// Spans in one request: some hundred kilobytes.
const BATCH_MAX: usize = 512;
/// How long spans gather.
const GATHER: Duration = Duration::from_secs(1);
/// A collector answers within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What is left at the end is told within this.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Tells one collector.
pub struct Traces {
    poster: Poster,
    url: String,
    outlet: Outlet,
    /// Told once, until it changes.
    refused: bool,
}

impl Traces {
    /// `endpoint`: the collector's address, with or without `/v1/traces`. An operator named it, so no guard is asked.
    pub fn new(clock: Clock, wire: WireOptions, endpoint: &str, outlet: Outlet) -> Result<Traces, WireSetupError> {
        let everywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|net| net.parse().ok()).collect();
        let base = endpoint.trim_end_matches('/');
        let url = if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") };
        Ok(Traces { poster: Poster::new(clock, Guard::new(everywhere), wire)?, url, outlet, refused: false })
    }

    /// Goes on until `stop` is true and what had gathered is told.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                count = self.outlet.spans.recv_many(&mut batch, BATCH_MAX) => if count == 0 { return },
                // An error means that the server has been dropped.
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let gathering = async {
                while batch.len() < BATCH_MAX && self.outlet.spans.recv_many(&mut batch, BATCH_MAX).await > 0 {}
            };
            // Whether the batch is full or the time over, it goes now.
            let _ = timeout(GATHER, gathering).await;
            self.tell(std::mem::take(&mut batch)).await;
        }
        let rest = async {
            while let Ok(span) = self.outlet.spans.try_recv() {
                batch.push(span);
                if batch.len() == BATCH_MAX {
                    self.tell(std::mem::take(&mut batch)).await;
                }
            }
            self.tell(batch).await;
        };
        if timeout(FLUSH_WITHIN, rest).await.is_err() {
            tracing::warn!("the last spans were not taken by the collector");
        }
    }

    async fn tell(&mut self, spans: Vec<Finished>) {
        metrics::SPANS.add_many(["dropped"], self.outlet.dropped());
        if spans.is_empty() {
            return;
        }
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let body = document(&spans).to_string().into_bytes();
        let refused = why(&self.poster.post(&self.url, &headers, body, ANSWER_WITHIN).await);
        metrics::SPANS.add_many([if refused.is_some() { "dropped" } else { "exported" }], spans.len() as u64);
        if let (Some(why), false) = (&refused, self.refused) {
            tracing::warn!(why, "the collector does not take spans; they are dropped");
        }
        self.refused = refused.is_some();
    }
}

fn why(answer: &Result<PostAnswer, Fault>) -> Option<String> {
    match answer {
        Ok(answer) if (200..300).contains(&answer.status) => None,
        Ok(answer) => Some(format!("status {}", answer.status)),
        Err(fault) => Some(fault.to_string()),
    }
}
