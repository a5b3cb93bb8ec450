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
        amount: String,
        text: String,
        until: Option<String>,
    },
    /// Bank details to transfer to.
    Details {
        refresh: Refresh,
        amount: String,
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

const STYLE: &str = ":root{color-scheme:light dark}\
*{box-sizing:border-box}\
body{margin:0;padding:1rem;min-height:100vh;display:flex;align-items:center;justify-content:center;\
font:1rem/1.5 system-ui,sans-serif;background:Canvas;color:CanvasText}\
main{width:100%;max-width:28rem;overflow-wrap:anywhere}\
h1{font-size:1.4rem;line-height:1.25;margin:0 0 .75rem}\
p{margin:0 0 1rem}\
a{display:inline-block;padding:.6rem 1rem;border:1px solid;border-radius:.4rem;color:inherit;text-decoration:none}\
a:focus-visible{outline:3px solid Highlight;outline-offset:2px}\
code{display:block;padding:.75rem;border:1px dashed;user-select:all;margin:0 0 1rem}\
dl{margin:0 0 1rem}dt{opacity:.75}dd{margin:0 0 .5rem;font-weight:600;user-select:all}";

/// The page may use its own style and nothing else: no script, no frame, no form, no picture.
pub fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    });
    &POLICY
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
<main>
<h1>{{ title }}</h1>
<p role="status">{{ text }}</p>
{%- if let Some(amount) = amount %}
<dl><dt>Amount</dt><dd>{{ amount }}</dd></dl>
{%- endif %}
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
<p><a href="{{ url }}" rel="noreferrer">{{ label }}</a></p>
{%- endif %}
</main>
</body>
</html>
"#
)]
struct Page<'a> {
    title: &'a str,
    text: &'a str,
    style: &'static str,
    refresh: Option<(u32, String)>,
    amount: Option<&'a str>,
    code: Option<&'a str>,
    lines: &'a [(String, String)],
    until: Option<&'a str>,
    link: Option<(String, &'a str)>,
}

impl<'a> Page<'a> {
    fn new(title: &'a str, text: &'a str) -> Page<'a> {
        Page { title, text, style: STYLE, refresh: None, amount: None, code: None, lines: &[], until: None, link: None }
    }

    fn again(self, refresh: Refresh) -> Page<'a> {
        Page { refresh: Some((refresh.seconds, refresh.url())), ..self }
    }

    fn link(self, url: String, label: &'a str) -> Page<'a> {
        Page { link: Some((url, label)), ..self }
    }
}

/// The whole page.
pub fn render(view: &View) -> String {
    let page = match view {
        View::Moment(refresh) => {
            Page::new("One moment, please", "Your payment is being prepared. This page goes on by itself.")
                .again(*refresh)
                .link(refresh.url(), "Continue")
        }
        View::Waiting { refresh, go_on } => {
            let page = Page::new(
                "Waiting for confirmation",
                "Your payment is not confirmed yet. This page goes on by itself.",
            )
            .again(*refresh);
            match go_on {
                Some(url) => page.link(url.clone(), "Go on with the payment"),
                None => page.link(refresh.url(), "Look again"),
            }
        }
        View::Code { refresh, amount, text, until } => Page {
            amount: Some(amount),
            code: Some(text),
            until: until.as_deref(),
            ..Page::new("Pay with this code", "Copy the code into your banking app. This page goes on by itself.")
                .again(*refresh)
        },
        View::Details { refresh, amount, lines, until } => Page {
            amount: Some(amount),
            lines,
            until: until.as_deref(),
            ..Page::new("Pay by bank transfer", "Transfer to this account. This page goes on by itself.")
                .again(*refresh)
        },
        View::Done => Page::new("Thank you", "Everything is done. You can close this page."),
        View::Refused => {
            Page::new("The payment was declined", "Please go back to the shop and try another way to pay.")
        }
        View::Cancelled => Page::new("Cancelled", "Nothing was charged. You can close this page."),
        View::Expired => {
            Page::new("The time is over", "Nothing was charged. Please go back to the shop and start again.")
        }
        View::Unknown => Page::new("There is no such page", "The address is wrong, or the page is gone."),
        View::Trouble(refresh) => {
            Page::new("One moment, please", "We cannot answer right now. This page tries again by itself.")
                .again(*refresh)
        }
    };
    // A template without code of its own fails only when memory cannot be had.
    page.render().unwrap_or_default()
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
            View::Code { refresh, amount: "1.00 EUR".to_owned(), text: evil.clone(), until: Some(evil.clone()) },
            View::Details {
                refresh,
                amount: "1.00 EUR".to_owned(),
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
            let html = render(&view);
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
            assert_eq!(render(&view).contains("http-equiv=\"refresh\""), waits, "{view:?}");
        }
    }

    #[test]
    fn the_style_is_the_one_the_policy_allows() {
        let html = render(&View::Done);
        let style = html.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style");
        let hash = BASE64_STANDARD.encode(Sha256::digest(style));
        assert!(policy().contains(&format!("'sha256-{hash}'")), "{}", policy());
    }
}
