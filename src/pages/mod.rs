//! Hosted pages: a view in, HTML out. Pure. They work without JavaScript, load nothing from anywhere, fit 320 pixels, and
//! follow the browser's light or dark mode. Every text is escaped.

use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

/// The query parameter of a page that waits for a payer who has been at the PSP.
pub const WAITING: &str = "wait";

/// A page that looks again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    pub seconds: u32,
    /// The payer has been at the PSP already: see [`WAITING`].
    pub home: bool,
}

impl Refresh {
    /// Relative to the page.
    fn url(self) -> String {
        if self.home { format!("?{WAITING}=1") } else { "?".to_owned() }
    }
}

/// What a payer is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// The PSP is being called.
    Moment(Refresh),
    /// The PSP has not decided. `go_on`: its page, for a payer who is not finished there.
    Waiting {
        refresh: Refresh,
        go_on: Option<String>,
    },
    /// A code to scan or copy.
    Code {
        refresh: Refresh,
        text: String,
        until: Option<String>,
    },
    /// Bank details to transfer to.
    Details {
        refresh: Refresh,
        lines: Vec<(String, String)>,
        until: Option<String>,
    },
    Done,
    Refused,
    Cancelled,
    Expired,
    /// No such page.
    Unknown,
    /// We have trouble; the page tries again.
    Trouble(Refresh),
}

/// The look of every page a payer meets, the sandbox PSP's too: one narrow column, the browser's own font, a line of colour
/// that says with the heading how it stands.
pub const STYLE: &str = ":root{color-scheme:light dark;--ink:#1b2430;--soft:#566170;--line:#8a94a1;--paper:#fff;\
--ground:#f2f4f7;--wait:#0b5cad;--good:#1a7a3c;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ink:#e9ecf1;--soft:#a9b3c0;--line:#687483;--paper:#1a2028;--ground:#11151a;\
--wait:#6aaef5;--good:#5dc983;--bad:#f2857d}}\
*{box-sizing:border-box}\
body{margin:0;padding:.75rem;font:1rem/1.5 system-ui,sans-serif;background:var(--ground);color:var(--ink)}\
main{max-width:27rem;margin:0 auto;padding:1rem;background:var(--paper);border:1px solid var(--line);\
border-top:.3rem solid var(--wait);border-radius:.5rem;overflow-wrap:anywhere}\
main.good{border-top-color:var(--good)}main.bad{border-top-color:var(--bad)}\
@media(min-width:40rem){body{padding-top:12vh}main{padding:2rem}}\
h1{font-size:1.35rem;line-height:1.25;margin:0 0 .5rem}\
p{margin:.75rem 0 0}\
.amount{font-size:1.9rem;line-height:1.25;font-weight:700;font-variant-numeric:tabular-nums;margin:.5rem 0 0}\
.mark{margin:0 0 1rem;padding:.35rem .25rem;font-size:.9rem;border:2px dashed;text-align:center;font-weight:700}\
dl{display:grid;grid-template-columns:auto 1fr;gap:.35rem .75rem;margin:1rem 0 0}\
dt{color:var(--soft)}dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}\
dd,code{user-select:all}\
code{display:block;margin:1rem 0 0;padding:.75rem;border:1px dashed}\
form{margin:1.25rem 0 0}\
.button{display:block;width:100%;min-height:3rem;margin:.6rem 0 0;padding:.7rem 1rem;border:1px solid var(--line);\
border-radius:.4rem;background:transparent;color:inherit;font:inherit;text-align:center;text-decoration:none;cursor:pointer}\
.button:hover{border-color:currentColor}\
.main{background:#0b5cad;border-color:#0b5cad;color:#fff;font-weight:700}\
p>.button{margin-top:1.25rem}\
:focus-visible{outline:3px solid #d97700;outline-offset:2px}";

/// What a page of ours may do: use its own style and nothing else; no script, no frame, no form, no picture.
pub fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| format!("{}; form-action 'none'", policy_with_forms()));
    &POLICY
}

/// The same for a page with a form. No `form-action`: browsers apply it to the redirects that follow, and where those end
/// is the merchant's to say.
pub fn policy_with_forms() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'")
    });
    &POLICY
}

/// How it stands, as the page's colour says beside its heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Bad,
}

impl Tone {
    /// The class of the page's `main`.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Bad => "bad",
        }
    }
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
{%- if let Some((seconds, url)) = refresh %}
<meta http-equiv="refresh" content="{{ seconds }};url={{ url }}">
{%- endif %}
<title>{{ title }}</title>
<style>{{ style|safe }}</style>
</head>
<body>
<main class="{{ tone.class() }}">
<h1>{{ title }}</h1>
{%- if let Some(amount) = amount %}
<p class="amount">{{ amount }}</p>
{%- endif %}
<p role="status">{{ text }}</p>
{%- if let Some(code) = code %}
<code>{{ code }}</code>
{%- endif %}
{%- if !lines.is_empty() %}
<dl>
{%- for (label, value) in lines %}
<dt>{{ label }}</dt><dd>{{ value }}</dd>
{%- endfor %}
</dl>
{%- endif %}
{%- if let Some(until) = until %}
<p>Please pay before {{ until }}.</p>
{%- endif %}
{%- if let Some((url, label)) = link %}
<p><a class="button{% if forward %} main{% endif %}" href="{{ url }}" rel="noreferrer">{{ label }}</a></p>
{%- endif %}
</main>
</body>
</html>
"#
)]
struct Page<'a> {
    title: &'a str,
    tone: Tone,
    text: &'a str,
    style: &'static str,
    refresh: Option<(u32, String)>,
    amount: Option<&'a str>,
    code: Option<&'a str>,
    lines: &'a [(String, String)],
    until: Option<&'a str>,
    link: Option<(String, &'a str)>,
    /// The link is what the payer has to do next.
    forward: bool,
}

impl<'a> Page<'a> {
    fn new(title: &'a str, tone: Tone, text: &'a str) -> Page<'a> {
        Page {
            title,
            tone,
            text,
            style: STYLE,
            refresh: None,
            amount: None,
            code: None,
            lines: &[],
            until: None,
            link: None,
            forward: false,
        }
    }

    fn again(self, refresh: Refresh) -> Page<'a> {
        Page { refresh: Some((refresh.seconds, refresh.url())), ..self }
    }

    fn link(self, url: String, label: &'a str) -> Page<'a> {
        Page { link: Some((url, label)), ..self }
    }
}

/// The whole page. `amount`: what it is about, as a person reads it; `None` where no money is to move.
pub fn render(view: &View, amount: Option<&str>) -> String {
    let page = Page { amount, ..page(view) };
    // A template without code of its own fails only when memory cannot be had.
    page.render().unwrap_or_default()
}

fn page(view: &View) -> Page<'_> {
    match view {
        View::Moment(refresh) => {
            let text = "Your payment is being prepared. This page goes on by itself.";
            Page::new("One moment, please", Tone::Plain, text).again(*refresh).link(refresh.url(), "Continue")
        }
        View::Waiting { refresh, go_on: Some(url) } => {
            let text =
                "Your payment is not finished. You can go on with it, or wait here: this page looks again by itself.";
            let page = Page::new("Waiting for confirmation", Tone::Plain, text).again(*refresh);
            Page { forward: true, ..page.link(url.clone(), "Go on with the payment") }
        }
        View::Waiting { refresh, go_on: None } => {
            let text = "Your payment is not confirmed yet. There is nothing more to do: this page goes on by itself.";
            Page::new("Waiting for confirmation", Tone::Plain, text).again(*refresh).link(refresh.url(), "Look again")
        }
        View::Code { refresh, text, until } => {
            let told = "Copy the code into your banking app. This page goes on by itself.";
            let page = Page::new("Pay with this code", Tone::Plain, told).again(*refresh);
            Page { code: Some(text), until: until.as_deref(), ..page }
        }
        View::Details { refresh, lines, until } => {
            let told = "Transfer to this account. This page goes on by itself.";
            let page = Page::new("Pay by bank transfer", Tone::Plain, told).again(*refresh);
            Page { lines, until: until.as_deref(), ..page }
        }
        View::Done => Page::new("Thank you", Tone::Good, "Everything is done. You can close this page."),
        View::Refused => {
            let text = "Please go back to the shop and try another way to pay.";
            Page::new("The payment was declined", Tone::Bad, text)
        }
        View::Cancelled => Page::new("Cancelled", Tone::Plain, "Nothing was charged. You can close this page."),
        View::Expired => {
            let text = "Nothing was charged. Please go back to the shop and start again.";
            Page::new("The time is over", Tone::Bad, text)
        }
        View::Unknown => Page::new("There is no such page", Tone::Plain, "The address is wrong, or the page is gone."),
        View::Trouble(refresh) => {
            let text = "We cannot answer right now. This page tries again by itself.";
            Page::new("One moment, please", Tone::Plain, text).again(*refresh)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views() -> Vec<View> {
        let evil = "<script>alert(\"1\")</script>&'".to_owned();
        let refresh = Refresh { seconds: 3, home: true };
        vec![
            View::Moment(Refresh { seconds: 1, home: false }),
            View::Waiting { refresh, go_on: Some(format!("https://psp.example/pay?a=1&b={evil}")) },
            View::Waiting { refresh, go_on: None },
            View::Code { refresh, text: evil.clone(), until: Some(evil.clone()) },
            View::Details {
                refresh,
                lines: vec![("IBAN".to_owned(), evil.clone()), (evil, "x".to_owned())],
                until: None,
            },
            View::Done,
            View::Refused,
            View::Cancelled,
            View::Expired,
            View::Unknown,
            View::Trouble(refresh),
        ]
    }

    #[test]
    fn every_page_is_whole_escaped_and_without_script() {
        for view in views() {
            let html = render(&view, Some("1.00 EUR"));
            assert!(html.contains("<p class=\"amount\">1.00 EUR</p>"));
            assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"), "{view:?}");
            assert!(!html.contains("<script"), "{html}");
            assert!(html.contains("width=device-width") && html.contains("lang=\"en\""));
            assert_eq!(html.matches("<h1>").count(), 1);
        }
    }

    #[test]
    fn only_pages_that_wait_refresh() {
        for view in views() {
            let waits = match view {
                View::Moment(_)
                | View::Waiting { .. }
                | View::Code { .. }
                | View::Details { .. }
                | View::Trouble(_) => true,
                View::Done | View::Refused | View::Cancelled | View::Expired | View::Unknown => false,
            };
            assert_eq!(render(&view, None).contains("http-equiv=\"refresh\""), waits, "{view:?}");
        }
    }

    #[test]
    fn the_style_is_the_one_the_policy_allows() {
        let html = render(&View::Done, None);
        let style = html.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style");
        let hash = BASE64_STANDARD.encode(Sha256::digest(style));
        for policy in [policy(), policy_with_forms()] {
            assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
        }
        assert!(policy().contains("form-action 'none'") && !policy_with_forms().contains("form-action"));
    }
}
