//! Hosted pages: a view in, HTML out. Pure. They work without JavaScript, load nothing from anywhere, fit 320 pixels, and
//! follow the browser's light or dark mode. Every text is escaped. The one script counts down and copies; a page says the
//! same without it.

mod png;

use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fast_qr::{ECL, QRBuilder};
use sha2::{Digest, Sha256};

pub use png::{qr_data_uri, qr_png};

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

/// Until when a payer can pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Until {
    /// As a person reads it.
    pub text: String,
    /// Seconds left by the server's clock: a browser's may be wrong.
    pub seconds: i64,
}

/// Something the PSP needs to know of the payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The field of the form.
    pub name: &'static str,
    pub label: &'static str,
    /// What the browser may fill it with (`autocomplete`), and which keyboard it shows (`inputmode`).
    pub autocomplete: &'static str,
    pub keyboard: &'static str,
    /// Longest answer, in characters.
    pub max: usize,
    /// What was answered before.
    pub answer: String,
    /// What is wrong with that.
    pub wrong: Option<String>,
}

/// What a payer is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// The PSP is called once these are answered.
    Ask(Vec<Question>),
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
        until: Option<Until>,
    },
    /// Bank details to transfer to.
    Details {
        refresh: Refresh,
        lines: Vec<(String, String)>,
        until: Option<Until>,
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
label{display:block;margin:1rem 0 0}\
input{display:block;width:100%;min-height:3rem;margin:.25rem 0 0;padding:.6rem .75rem;border:1px solid var(--line);\
border-radius:.4rem;background:var(--paper);color:var(--ink);font:inherit}\
input[aria-invalid]{border:2px solid var(--bad)}\
.wrong{margin:.25rem 0 0;color:var(--bad)}\
.qr{display:block;width:100%;max-width:16rem;margin:1rem auto 0;background:#fff;border-radius:.25rem}\
[hidden]{display:none}\
.button{display:block;width:100%;min-height:3rem;margin:.6rem 0 0;padding:.7rem 1rem;border:1px solid var(--line);\
border-radius:.4rem;background:transparent;color:inherit;font:inherit;text-align:center;text-decoration:none;cursor:pointer}\
.button:hover{border-color:currentColor}\
.main{background:#0b5cad;border-color:#0b5cad;color:#fff;font-weight:700}\
p>.button{margin-top:1.25rem}\
:focus-visible{outline:3px solid #d97700;outline-offset:2px}";

/// The one script: shows how much time is left, and a button that copies the code. Without it the page says until when,
/// and the code can be selected with one click.
pub const SCRIPT: &str = "(()=>{const d=document,b=d.getElementById('copy'),c=d.getElementById('code');\
if(b&&c&&navigator.clipboard){b.hidden=false;b.onclick=()=>navigator.clipboard.writeText(c.textContent)\
.then(()=>{b.textContent=b.dataset.done})}\
const l=d.getElementById('left');if(l){const end=Date.now()+l.dataset.seconds*1000;const show=()=>{\
const s=Math.max(0,Math.round((end-Date.now())/1000)),p=n=>String(n).padStart(2,'0'),h=Math.floor(s/3600);\
l.textContent=(h?h+':'+p(Math.floor(s/60)%60):Math.floor(s/60))+':'+p(s%60)};\
show();setInterval(show,1000);l.parentNode.hidden=false}})()";

fn hashed(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
}

/// What a page of ours may do: use its own style and its one script, and nothing else; no frame, no form, no picture.
pub fn policy() -> &'static str {
    static POLICY: LazyLock<String> =
        LazyLock::new(|| format!("{}; script-src {}; form-action 'none'", policy_with_forms(), hashed(SCRIPT)));
    &POLICY
}

/// The same for a page with a form. No `form-action`: browsers apply it to the redirects that follow, and where those end
/// is the merchant's to say.
pub fn policy_with_forms() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        format!("default-src 'none'; style-src {}; base-uri 'none'; frame-ancestors 'none'", hashed(STYLE))
    });
    &POLICY
}

/// The same for a page with a form and the one script.
pub fn policy_with_forms_and_script() -> &'static str {
    static POLICY: LazyLock<String> =
        LazyLock::new(|| format!("{}; script-src {}", policy_with_forms(), hashed(SCRIPT)));
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
{%- if !questions.is_empty() %}
<form method="post">
{%- for q in questions %}
<label for="{{ q.name }}">{{ q.label }}</label>
<input id="{{ q.name }}" name="{{ q.name }}" value="{{ q.answer }}" maxlength="{{ q.max }}" required autocomplete="{{ q.autocomplete }}" inputmode="{{ q.keyboard }}"{% if q.wrong.is_some() %} aria-invalid="true" aria-describedby="{{ q.name }}-wrong"{% endif %}>
{%- if let Some(wrong) = q.wrong %}
<p class="wrong" id="{{ q.name }}-wrong">{{ wrong }}</p>
{%- endif %}
{%- endfor %}
<button class="button main">Continue</button>
</form>
{%- endif %}
{%- if let Some(qr) = qr %}
<svg class="qr" viewBox="0 0 {{ qr.size }} {{ qr.size }}" role="img" aria-label="QR code" shape-rendering="crispEdges"><path fill="white" d="M0 0h{{ qr.size }}v{{ qr.size }}H0z"/><path fill="black" d="{{ qr.path|safe }}"/></svg>
{%- endif %}
{%- if let Some(code) = code %}
<code id="code">{{ code }}</code>
<button type="button" class="button" id="copy" data-done="Copied" hidden>Copy the code</button>
{%- endif %}
{%- if !lines.is_empty() %}
<dl>
{%- for (label, value) in lines %}
<dt>{{ label }}</dt><dd>{{ value }}</dd>
{%- endfor %}
</dl>
{%- endif %}
{%- if let Some(until) = until %}
<p>Please pay before {{ until.text }}.</p>
<p hidden>Time left: <span id="left" role="timer" data-seconds="{{ until.seconds }}"></span></p>
{%- endif %}
{%- if let Some((url, label)) = link %}
<p><a class="button{% if forward %} main{% endif %}" href="{{ url }}" rel="noreferrer">{{ label }}</a></p>
{%- endif %}
</main>
{%- if scripted %}
<script>{{ script|safe }}</script>
{%- endif %}
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
    questions: &'a [Question],
    qr: Option<Qr>,
    code: Option<&'a str>,
    lines: &'a [(String, String)],
    until: Option<&'a Until>,
    link: Option<(String, &'a str)>,
    /// The link is what the payer has to do next.
    forward: bool,
    script: &'static str,
    scripted: bool,
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
            questions: &[],
            qr: None,
            code: None,
            lines: &[],
            until: None,
            link: None,
            forward: false,
            script: SCRIPT,
            scripted: false,
        }
    }

    fn again(self, refresh: Refresh) -> Page<'a> {
        Page { refresh: Some((refresh.seconds, refresh.url())), ..self }
    }

    fn link(self, url: String, label: &'a str) -> Page<'a> {
        Page { link: Some((url, label)), ..self }
    }
}

/// A QR code as an SVG path: a rectangle for each run of dark modules.
struct Qr {
    /// Modules along one side, with the quiet zone.
    size: usize,
    path: String,
}

/// Light modules around a QR code, without which scanners miss it.
const QUIET: usize = 4;

impl Qr {
    /// `None` for a text beyond what a QR code holds.
    fn of(text: &str) -> Option<Qr> {
        use std::fmt::Write as _;
        let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
        let mut path = String::new();
        for y in 0..code.size {
            let row = &code[y][..code.size];
            let mut x = 0;
            while x < code.size {
                let run = row[x..].iter().take_while(|module| module.value()).count();
                if run > 0 {
                    // Writing to a String cannot fail.
                    let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
                }
                x += run.max(1);
            }
        }
        Some(Qr { size: code.size + 2 * QUIET, path })
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
        View::Ask(questions) => {
            let text = "The payment provider needs this from you. It is used for this payment only.";
            Page { questions, ..Page::new("Your details", Tone::Plain, text) }
        }
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
            let told = "Scan it, or copy the code into your banking app. This page goes on by itself.";
            let page = Page::new("Pay with this code", Tone::Plain, told).again(*refresh);
            Page { qr: Qr::of(text), code: Some(text), until: until.as_ref(), scripted: true, ..page }
        }
        View::Details { refresh, lines, until } => {
            let told = "Transfer to this account. This page goes on by itself.";
            let page = Page::new("Pay by bank transfer", Tone::Plain, told).again(*refresh);
            Page { lines, until: until.as_ref(), scripted: until.is_some(), ..page }
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
            View::Ask(vec![Question {
                name: "document",
                label: "CPF",
                autocomplete: "off",
                keyboard: "numeric",
                max: 18,
                answer: evil.clone(),
                wrong: Some(evil.clone()),
            }]),
            View::Moment(Refresh { seconds: 1, home: false }),
            View::Waiting { refresh, go_on: Some(format!("https://psp.example/pay?a=1&b={evil}")) },
            View::Waiting { refresh, go_on: None },
            View::Code { refresh, text: evil.clone(), until: Some(Until { text: evil.clone(), seconds: 90 }) },
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
    fn every_page_is_whole_and_escaped_and_runs_one_script_at_most() {
        for view in views() {
            let html = render(&view, Some("1.00 EUR"));
            assert!(html.contains("<p class=\"amount\">1.00 EUR</p>"));
            assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"), "{view:?}");
            let ours = format!("<script>{SCRIPT}</script>");
            assert!(!html.replace(&ours, "").contains("<script"), "{html}");
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
                View::Ask(_) | View::Done | View::Refused | View::Cancelled | View::Expired | View::Unknown => false,
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
        assert!(policy().contains(&hashed(SCRIPT)) && !policy_with_forms().contains("script-src"));
    }

    #[test]
    fn a_code_is_drawn_module_by_module() {
        let qr = Qr::of("00020126580014br.gov.bcb.pix").expect("a short text");
        // The finder pattern's first row: seven dark modules behind the quiet zone.
        assert!(qr.path.starts_with("M4 4h7v1h-7z"), "{}", qr.path);
        assert!(qr.size >= 21 + 2 * QUIET);
        assert!(Qr::of(&"9".repeat(8000)).is_none());
    }
}
