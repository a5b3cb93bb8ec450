//! What is done to try the rules out. [`Run`] is what all scenes share: asking, judging, waiting, and signing means up.

mod access;
mod info;
mod notices;
mod payment;
mod preauth;
mod redirect;
mod refund;
mod refusal;
mod repeat;
mod requests;
mod settings;
mod wire;

use std::time::Duration;

use rialto_adapters::port::notice::hex;
use rialto_adapters::port::{Currency, Money, Timestamp};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::time::Instant;

use super::answer::Answer;
use super::book::Book;
use super::client::{Ask, Client, NoReply};
use super::listen::Listener;
use super::payer::{self, Act, Payer, Trouble};
use super::rules::{Group, Need};
use super::tree::Tree;
use super::watch::{self, Kind, Ledger};
use super::{Limits, Tell};
use crate::clock::Clock;
use crate::contracts::billwerk::dto::PaymentTransactionStatus as Status;

/// The currency of all transactions: the contract's home is Europe.
const EUR: Currency = Currency::EUR;
/// Between two looks at something that is to change; each is twice as long, up to the second.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(1);
/// Where browsers are sent back to. Nothing is asked there.
const HOME: &str = "https://shop.example/";

/// Why a scene does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// What the rest of the scene stands on is missing.
    Scene(String),
    /// The run is over.
    Run(String),
}

pub type Step<T = ()> = Result<T, Stop>;

/// What the integrator says that it offers. Everything, where it does not say.
#[derive(Clone, Debug)]
pub struct Offer {
    pub card: bool,
    pub debit: bool,
    /// A direct debit can be signed up with account data alone.
    pub debit_takes_account: bool,
    pub capture: bool,
    pub cancel: bool,
    pub refunds: bool,
}

impl Default for Offer {
    fn default() -> Offer {
        Offer { card: true, debit: true, debit_takes_account: true, capture: true, cancel: true, refunds: true }
    }
}

/// Means of payment to charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Means {
    pub agreement: String,
    pub role: &'static str,
}

/// An answer of the payer's page that a scene goes on with.
#[derive(Clone, Debug)]
pub enum Acted {
    /// Where the browser ended, if it was seen.
    Done(Option<String>),
    /// Nobody could act, and why.
    Not(String),
}

pub struct Run {
    pub client: Client,
    pub book: Book,
    pub listener: Option<Listener>,
    pub offer: Offer,
    clock: Clock,
    ledger: Ledger,
    payer: Payer,
    target: String,
    limits: Limits,
    tell: Tell,
    ends: Instant,
    late: usize,
    info: Option<Tree>,
    card: Option<Means>,
    mandate: Option<Means>,
    /// Why signing means up failed, so that it is not tried again and again.
    no_card: Option<String>,
    no_mandate: Option<String>,
    /// A transaction whose first notice was answered 500.
    refused_notice: Option<String>,
}

/// What a run is made with.
pub struct Parts {
    pub client: Client,
    pub listener: Option<Listener>,
    pub clock: Clock,
    pub payer: Payer,
    /// `webhookTarget` of every request.
    pub target: String,
    pub limits: Limits,
    pub tell: Tell,
}

impl Run {
    pub fn new(parts: Parts) -> Run {
        let Parts { client, listener, clock, payer, target, limits, tell } = parts;
        Run {
            client,
            book: Book::default(),
            listener,
            offer: Offer::default(),
            clock,
            ledger: Ledger::default(),
            payer,
            target,
            ends: Instant::now() + limits.run_within,
            limits,
            tell,
            late: 0,
            info: None,
            card: None,
            mandate: None,
            no_card: None,
            no_mandate: None,
            refused_notice: None,
        }
    }

    /// Tries the rules of a group out. What the integrator offers must be known.
    pub async fn group(&mut self, group: Group) -> Step {
        match group {
            Group::Access => self.access().await,
            Group::Info => self.integration_info().await,
            Group::Settings => self.settings().await,
            Group::Wire => self.wire().await,
            Group::Unknown => self.unknown().await,
            Group::Debit => self.debit().await,
            Group::Redirect => self.redirect().await,
            Group::Payer => self.payer_acts().await,
            Group::Stored => self.stored().await,
            Group::Cancel => self.cancel().await,
            Group::Finalize => self.finalize().await,
            Group::Capture => self.capture().await,
            Group::Recurring => self.recurring().await,
            Group::Refund => self.refund().await,
            Group::Repeat => self.repeat().await,
            Group::Refusal => self.refusal().await,
            Group::Notices => self.notices().await,
            Group::Answers | Group::Errors => Ok(()),
        }
    }

    /// Why a need is not met: `Err` says that the integrator does not offer it.
    pub fn unmet(&self, need: Need) -> Option<Result<String, String>> {
        let (skipped, not_offered) = (|why: &str| Some(Ok(why.to_owned())), |what: &str| Some(Err(what.to_owned())));
        let payer = self.payer != Payer::None;
        let offer = &self.offer;
        match need {
            Need::Card if !offer.card => not_offered("IntegrationInfo does not offer cards"),
            Need::Debit if !offer.debit => not_offered("IntegrationInfo does not offer direct debits"),
            Need::Debit if !offer.debit_takes_account => {
                not_offered("IntegrationInfo does not offer direct debits without the payer's page")
            }
            Need::Means if self.takes_account() || (offer.card && payer) => None,
            Need::Means if offer.card => skipped(NEEDS_PAYER),
            Need::Means => not_offered("IntegrationInfo offers neither cards nor direct debits"),
            Need::Payer if !payer => skipped(NEEDS_PAYER),
            Need::SeesBrowser if self.payer != Payer::Sandbox => {
                skipped("needs a browser that is seen: --payer sandbox")
            }
            Need::Notices if self.listener.is_none() => {
                skipped("needs an address for notices: --notice-listen, and --notice-url where it is reached elsewhere")
            }
            Need::Refunds if !offer.refunds => not_offered("IntegrationInfo does not offer refunds"),
            Need::Cancel if !offer.cancel => not_offered("IntegrationInfo says that preauths are not cancelled"),
            Need::Capture if !offer.capture => not_offered("IntegrationInfo says that preauths are not captured"),
            Need::Card
            | Need::Debit
            | Need::Payer
            | Need::SeesBrowser
            | Need::Notices
            | Need::Refunds
            | Need::Cancel
            | Need::Capture => None,
        }
    }

    fn takes_account(&self) -> bool {
        self.offer.debit && self.offer.debit_takes_account
    }

    fn can(&self, needs: &[Need]) -> bool {
        needs.iter().all(|need| self.unmet(*need).is_none())
    }

    // Asking.

    /// Asks, and looks at what is looked at in every answer.
    async fn ask(&mut self, ask: Ask) -> Step<Answer> {
        let answer = self.ask_quietly(ask).await?;
        watch::any(&mut self.book, &self.client, &answer);
        Ok(answer)
    }

    /// Asks for what need not be there.
    async fn ask_quietly(&mut self, ask: Ask) -> Step<Answer> {
        self.goes_on()?;
        self.ledger.note(&ask.path, ask.body.as_deref().unwrap_or_default());
        let got = self.client.ask(&ask).await;
        if matches!(got, Err(NoReply::Late(_))) {
            self.late += 1;
        }
        Ok(Answer { ask, got })
    }

    fn goes_on(&self) -> Step {
        if self.late >= self.limits.late_max {
            return Err(Stop::Run(format!("{} requests were not answered in time", self.late)));
        }
        match Instant::now() < self.ends {
            true => Ok(()),
            false => Err(Stop::Run(format!("it took longer than {} s", self.limits.run_within.as_secs()))),
        }
    }

    /// Makes a transaction, or asks for it again.
    async fn post(&mut self, kind: Kind, body: &Tree) -> Step<Answer> {
        let id = body.get("transactionId").and_then(Tree::as_text).unwrap_or_default().to_owned();
        let amount = match body.get("requestedAmount") {
            Some(Tree::Number(digits)) => Money::parse_major(digits, EUR).unwrap_or(Money::new(0, EUR)),
            _ => Money::new(0, EUR),
        };
        self.ledger.open(kind, &id, amount);
        let answer = self.ask(Ask::post(kind.path(), body)).await?;
        self.watch(kind, &id, &answer);
        Ok(answer)
    }

    /// Makes a request that must not become a transaction.
    async fn try_post(&mut self, kind: Kind, body: &Tree) -> Step<Answer> {
        self.ask(Ask::post(kind.path(), body)).await
    }

    async fn look(&mut self, kind: Kind, id: &str) -> Step<Answer> {
        let answer = self.ask(Ask::get(format!("{}/{id}", kind.path()))).await?;
        self.watch(kind, id, &answer);
        Ok(answer)
    }

    fn watch(&mut self, kind: Kind, id: &str, answer: &Answer) {
        watch::transaction(&mut self.book, &self.client, &mut self.ledger, (kind, id), answer, true);
    }

    /// Looks until it is decided, or for as long as a decision may take.
    async fn settled(&mut self, kind: Kind, id: &str) -> Step<Answer> {
        self.look_until(kind, id, |answer| answer.got.is_ok() && !answer.is_open()).await
    }

    /// Looks until it is so, or for as long as a decision may take; the last answer.
    async fn look_until(&mut self, kind: Kind, id: &str, so: impl Fn(&Answer) -> bool) -> Step<Answer> {
        let within = if self.payer == Payer::Prompt { self.limits.prompt_within } else { self.limits.settle_within };
        let (until, mut wait) = (Instant::now() + within, LOOK_AGAIN);
        loop {
            let answer = self.look(kind, id).await?;
            if so(&answer) || Instant::now() >= until {
                return Ok(answer);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LOOK_AGAIN_MAX);
        }
    }

    // Judging.

    fn judge(&mut self, rule: &'static str, answer: &Answer, expected: &str, good: bool) {
        self.book.judge(&self.client, rule, answer, expected, good);
    }

    fn judge_as(&mut self, rule: &'static str, answer: &Answer, expected: &str, got: &str, good: bool) {
        self.book.judge_as(&self.client, rule, answer, expected, got, good);
    }

    /// An error with its body.
    fn judge_error(&mut self, rule: &'static str, answer: &Answer, why: &str) {
        self.judge(rule, answer, &format!("status 4xx or 5xx with an error object: {why}"), answer.is_error());
    }

    /// An error with its body that blames the request.
    fn judge_refusal(&mut self, rule: &'static str, answer: &Answer, why: &str) {
        self.judge(rule, answer, &format!("status 4xx with an error object: {why}"), answer.is_refusal());
    }

    /// What GET shows is what POST answered; what was open then may be decided by now.
    async fn get_equals_post(&mut self, rule: &'static str, kind: Kind, id: &str, posted: &Answer) -> Step<Answer> {
        let shown = self.look(kind, id).await?;
        if !posted.is_ok() {
            return Ok(shown);
        }
        for name in ["transactionId", "externalTransactionId", "currency"] {
            let (was, is) = (posted.text(name).unwrap_or_default(), shown.text(name).unwrap_or_default());
            self.judge_as(
                rule,
                &shown,
                &format!("{name} {was:?}, as POST answered"),
                &format!("{name} {is:?}"),
                was == is,
            );
        }
        let (was, is) = (posted.state(), shown.state());
        let good = shown.is_ok() && (was == is || posted.is_open());
        self.judge(rule, &shown, &format!("{}, as POST answered", posted.told()), good);
        Ok(shown)
    }

    // Ids and days.

    /// An id as the platform writes them: day, hyphen, 24 hex digits. Never used before.
    fn fresh(&self) -> String {
        let day = self.today().date().format(format_description!("[year][month][day]")).unwrap_or_default();
        format!("{day}-{}", self.fresh_agreement())
    }

    fn fresh_agreement(&self) -> String {
        hex(&self.clock.random::<12>())
    }

    fn today(&self) -> OffsetDateTime {
        let Timestamp(now) = self.clock.now();
        OffsetDateTime::from_unix_timestamp(now.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    // Means.

    /// A stored card, signed up if there is none yet.
    async fn card(&mut self) -> Step<Means> {
        if let Some(card) = &self.card {
            return Ok(card.clone());
        }
        if let Some(why) = &self.no_card {
            return Err(Stop::Scene(why.clone()));
        }
        let made = self.sign_card_up().await;
        match &made {
            Ok(means) => self.card = Some(means.clone()),
            Err(Stop::Scene(why)) => self.no_card = Some(why.clone()),
            Err(Stop::Run(_)) => {}
        }
        made
    }

    async fn sign_card_up(&mut self) -> Step<Means> {
        let (id, agreement) = (self.fresh(), self.fresh_agreement());
        let answer = self.post(Kind::Preauth, &self.sign_up(&id, &agreement, "10.00")).await?;
        if let Acted::Not(why) = self.act(&answer, Act::Approve).await? {
            return Err(Stop::Scene(format!("no card could be signed up: {why}")));
        }
        let settled = self.settled(Kind::Preauth, &id).await?;
        match settled.is(Status::Succeeded) {
            true => Ok(Means { agreement, role: "CreditCard" }),
            false => Err(Stop::Scene(format!("no card could be signed up: {}", settled.told()))),
        }
    }

    /// A stored mandate.
    async fn mandate(&mut self) -> Step<Means> {
        if let Some(mandate) = &self.mandate {
            return Ok(mandate.clone());
        }
        if let Some(why) = &self.no_mandate {
            return Err(Stop::Scene(why.clone()));
        }
        let (id, agreement) = (self.fresh(), self.fresh_agreement());
        self.post(Kind::Preauth, &self.account(&id, &agreement)).await?;
        let settled = self.settled(Kind::Preauth, &id).await?;
        if settled.is(Status::Succeeded) {
            let mandate = Means { agreement, role: "Debit" };
            self.mandate = Some(mandate.clone());
            return Ok(mandate);
        }
        let why = format!("no direct debit could be signed up: {}", settled.told());
        self.no_mandate = Some(why.clone());
        Err(Stop::Scene(why))
    }

    /// Means to charge: a card if one can be had, for it is decided at once.
    async fn means(&mut self) -> Step<Means> {
        if self.can(&[Need::Card, Need::Payer]) {
            match self.card().await {
                Err(Stop::Scene(_)) if self.takes_account() => {}
                card => return card,
            }
        }
        if self.takes_account() {
            return self.mandate().await;
        }
        Err(Stop::Scene(NEEDS_PAYER.to_owned()))
    }

    /// A payment of this much that has succeeded.
    async fn paid(&mut self, amount: &str) -> Step<String> {
        let means = self.means().await?;
        let id = self.fresh();
        let posted = self.post(Kind::Payment, &self.payment(&id, &means, amount)).await?;
        let settled = if posted.is_open() { self.settled(Kind::Payment, &id).await? } else { posted };
        match settled.is(Status::Succeeded) {
            true => Ok(id),
            false => Err(Stop::Scene(format!("a payment of {amount} did not succeed: {}", settled.told()))),
        }
    }

    /// A reservation of this much on the stored card.
    async fn reserved(&mut self, amount: &str) -> Step<String> {
        let card = self.card().await?;
        let id = self.fresh();
        let posted = self.post(Kind::Preauth, &self.again(&id, &card.agreement, amount)).await?;
        let settled = if posted.is_open() { self.settled(Kind::Preauth, &id).await? } else { posted };
        match settled.is(Status::Succeeded) {
            true => Ok(id),
            false => Err(Stop::Scene(format!("{amount} could not be reserved on a stored card: {}", settled.told()))),
        }
    }

    /// Lets the payer act on the page behind the answer's redirectUrl.
    async fn act(&mut self, answer: &Answer, act: Act) -> Step<Acted> {
        self.goes_on()?;
        let Some(page) = answer.text("redirectUrl").map(str::to_owned) else {
            return Ok(Acted::Not(format!("there is no redirectUrl: {}", answer.told())));
        };
        let client = self.client.clone();
        match self.payer {
            Payer::None => Ok(Acted::Not(NEEDS_PAYER.to_owned())),
            Payer::Prompt => {
                let opens = payer::open(&client, &page).await;
                self.opens(answer, opens.as_ref().err());
                (self.tell)(&format!("please {} here: {}", act.as_str(), client.scrub(&page)));
                Ok(Acted::Done(None))
            }
            Payer::Sandbox => {
                let pressed = payer::press(&client, &page, act, HOME, self.limits.page_within).await;
                self.opens(answer, pressed.as_ref().err());
                match pressed {
                    Ok(end) => Ok(Acted::Done(Some(end))),
                    // The button was pressed; only the way back is missing.
                    Err(why @ Trouble::NoWayBack(_)) => Ok(Acted::Done(Some(why.to_string()))),
                    Err(why @ (Trouble::DoesNotOpen(..) | Trouble::NotSandbox(_))) => Ok(Acted::Not(why.to_string())),
                }
            }
        }
    }

    fn opens(&mut self, answer: &Answer, trouble: Option<&Trouble>) {
        let closed = trouble.filter(|trouble| matches!(trouble, Trouble::DoesNotOpen(..)));
        let got = closed.map(Trouble::to_string).unwrap_or_default();
        self.judge_as("preauth.payer.page_opens", answer, "a page that opens", &got, closed.is_none());
    }
}

const NEEDS_PAYER: &str = "needs a payer: --payer sandbox for Rialto's own sandbox, --payer prompt to act yourself";

fn money(text: &str) -> Money {
    Money::parse_major(text, EUR).unwrap_or(Money::new(0, EUR))
}

/// Goes on with the next part of a scene where only this part cannot go on.
fn part(step: Step, first: &mut Option<String>) -> Step {
    match step {
        Err(Stop::Scene(why)) => {
            first.get_or_insert(why);
            Ok(())
        }
        other => other,
    }
}

/// The end of a scene of several parts.
fn parts(first: Option<String>) -> Step {
    first.map_or(Ok(()), |why| Err(Stop::Scene(why)))
}
