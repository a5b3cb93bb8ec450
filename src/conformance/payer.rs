//! Whoever acts on the PSP's page: nobody, this program on Rialto's own sandbox, or the person at the keyboard.

use std::time::Duration;

use url::Url;

use super::client::{Client, NoReply, Page};

/// Redirects followed before a page is given up.
const HOPS_MAX: usize = 20;
/// Between two looks at a page that waits; each is twice as long, up to the second.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(1);
/// What the address of a page of Rialto's sandbox contains.
const SANDBOX_PAGE: &str = "/sandbox/pay/";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payer {
    None,
    /// Presses the buttons of Rialto's sandbox.
    Sandbox,
    /// Somebody is told the address, and acts.
    Prompt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Approve,
    Decline,
    Abort,
}

impl Act {
    /// What the button of the sandbox's page sends.
    pub fn as_str(self) -> &'static str {
        match self {
            Act::Approve => "approve",
            Act::Decline => "decline",
            Act::Abort => "abort",
        }
    }
}

/// Why the payer could not act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("{0} is answered {1}")]
    DoesNotOpen(String, String),
    #[error("{0} is not a page of Rialto's sandbox; use --payer prompt and act yourself")]
    NotSandbox(String),
    #[error("{0} does not send the browser back")]
    NoWayBack(String),
}

/// Opens the page, presses the button, and follows the browser to one of the return addresses, which is answered.
pub async fn press(client: &Client, page: &str, act: Act, home: &str, within: Duration) -> Result<String, Trouble> {
    let there = follow(client, page, within, |url| url.contains(SANDBOX_PAGE)).await?;
    let there = there.ok_or_else(|| Trouble::NotSandbox(page.to_owned()))?;
    open(client, &there).await?;
    let pressed = went(&there, client.press(&there, "choice", act.as_str()).await)?;
    let back = pressed.and_then(|location| join(&there, &location));
    let back = back.ok_or_else(|| Trouble::NoWayBack(there.clone()))?;
    if back.starts_with(home) {
        return Ok(back);
    }
    let end = follow(client, &back, within, |url| url.starts_with(home)).await?;
    end.ok_or(Trouble::NoWayBack(back))
}

/// Loads a page again and again, as its refresh does, until the browser is sent where we want it, which is answered.
async fn follow(
    client: &Client,
    start: &str,
    within: Duration,
    there: impl Fn(&str) -> bool,
) -> Result<Option<String>, Trouble> {
    let (mut url, mut hops, mut wait) = (start.to_owned(), 0, LOOK_AGAIN);
    let walking = async {
        while !there(&url) && hops < HOPS_MAX {
            let page = open(client, &url).await?;
            match page.and_then(|location| join(&url, &location)) {
                Some(next) => (url, hops) = (next, hops + 1),
                None => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LOOK_AGAIN_MAX);
                }
            }
        }
        Ok(there(&url).then(|| url.clone()))
    };
    tokio::time::timeout(within, walking).await.unwrap_or(Ok(None))
}

/// Where a page sends the browser, if anywhere.
pub async fn open(client: &Client, url: &str) -> Result<Option<String>, Trouble> {
    went(url, client.browse(url).await)
}

fn went(url: &str, page: Result<Page, NoReply>) -> Result<Option<String>, Trouble> {
    let trouble = |why: String| Trouble::DoesNotOpen(url.to_owned(), why);
    let page = page.map_err(|why| trouble(why.to_string()))?;
    match page.status {
        200..400 => Ok(page.location),
        status => Err(trouble(format!("with status {status}"))),
    }
}

fn join(base: &str, location: &str) -> Option<String> {
    Some(Url::parse(base).ok()?.join(location).ok()?.to_string())
}
