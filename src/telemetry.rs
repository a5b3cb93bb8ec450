//! Logs: to standard error, as text for people or one JSON object per line for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

/// What the server logs where nobody said otherwise. The libraries beneath speak only when something is wrong.
pub const SERVER_FILTER: &str = "warn,rialto=info,access=info";
/// The same for commands that end by themselves: their result is what they print.
pub const COMMAND_FILTER: &str = "warn";

/// Starts logging for the whole process. `filter` as in `RIALTO_LOG`; a filter that cannot be read counts as `info`.
///
/// # Errors
/// If logging was started before.
pub fn init(filter: &str, json: bool) -> Result<(), TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt as _;
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        builder.json().flatten_event(true).with_span_list(false).finish().try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).finish().try_init()
    }
}
