//! `rialto serve`.

use anyhow::Context as _;

use super::walkthrough;
use crate::app::{App, AppParts, demo};
use crate::config::Config;
use crate::telemetry::Outlet;

/// `outlet`: where finished spans come out, if traces are on.
pub async fn run(config: &Config, with_demo: bool, outlet: Option<Outlet>) -> anyhow::Result<()> {
    // Before anything else, so that a signal that comes early is not lost.
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let parts = if with_demo { AppParts::demo(config) } else { AppParts::of(config) };
    let clock = parts.clock.clone();
    let mut app = tokio::select! {
        app = App::start(config, parts) => app?,
        () = signals.next() => return Ok(()),
    };
    if let Some((endpoint, outlet)) = config.otlp_endpoint.as_ref().zip(outlet) {
        app.tell_spans(endpoint.expose(), outlet)?;
    }
    if let Some(prepared) = &app.demo {
        print!("{}", walkthrough::text(prepared, &demo::file(config), &clock));
    }
    signals.next().await;
    tokio::select! {
        () = app.stop() => {}
        () = signals.next() => tracing::warn!("stopped at once; what was under way is taken up at the next start"),
    }
    Ok(())
}

/// The wish to stop: Ctrl-C or SIGTERM.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(not(unix))]
    pub(super) fn new() -> std::io::Result<Signals> {
        Ok(Signals {})
    }

    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
