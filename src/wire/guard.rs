//! The address guard: which destinations that other people name we are willing to call.
//!
//! A URL is checked when it is given, for a kind message; the address is checked when it is dialled, which is what
//! protects: names change their mind. The dialler connects only to addresses that came out of [`Guard::addresses`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use url::{Host, Url};

use super::ranges;

/// Longer addresses are refused; browsers and proxies stop being reliable at about this length.
pub const URL_MAX: usize = 2048;

/// Names that end in this are ours, inside this process; nobody may name them from outside.
pub const OUR_SUFFIX: &str = ".rialto.internal";

/// Endings (and whole names) that mean something only inside somebody's network.
const INTERNAL_SUFFIXES: &[&str] =
    &["localhost", "localdomain", "local", "internal", "home.arpa", "intranet", "lan", "corp", "private"];

/// Ports above 1023 where databases, caches, queues and cluster controls listen, seldom web servers.
const UNSAFE_PORTS: &[u16] = &[
    1433, 1521, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 4444, 5432, 5672, 5900, 5984, 6379, 6443, 6667, 8500, 9042,
    9092, 9200, 9300, 10250, 10255, 11211, 15672, 27017,
];

/// Ports below this belong to other protocols, but for 443.
const FIRST_FREE_PORT: u16 = 1024;

/// Why a destination is refused, in words for the person who named it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardRefusal {
    #[error("the address is longer than {URL_MAX} characters")]
    TooLong,
    #[error("not an absolute web address; it must look like https://host/path")]
    NotAnAddress,
    #[error("the address holds a space, a backslash or a control character; percent-encode it")]
    Characters,
    #[error("the address must begin with https://")]
    Scheme,
    #[error("the address must not hold a user name or password")]
    UserInfo,
    #[error("the address must not hold a fragment (#…)")]
    Fragment,
    #[error("port {0} is not allowed; use 443 or a web server's port above 1023")]
    Port(u16),
    #[error(
        "the host must be a name, not an IP address; inside a network the operator lists in RIALTO_ALLOW_SUBNETS it may be"
    )]
    Literal,
    #[error("the host {0} has no meaning on the public internet; use a full public name")]
    Name(String),
    #[error("the host {0} is not among those this tenant may call")]
    NotListed(String),
    #[error(
        "the host {0} has an address that is not public; the operator can open a network with RIALTO_ALLOW_SUBNETS \
         (never link-local or metadata addresses)"
    )]
    Address(String),
    #[error(
        "the host {0} is called without TLS or on an unusual port, which is allowed only inside the networks the operator \
         lists in RIALTO_ALLOW_SUBNETS"
    )]
    Outside(String),
}

/// Why a host gave no address to dial.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    #[error(transparent)]
    Denied(GuardRefusal),
    #[error("the name {0} was not found")]
    NotFound(String),
}

/// Which addresses one call may dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public ones, and those the operator listed.
    Public,
    /// Only those the operator listed: the call is in clear text, on an unusual port, or to an internal name.
    ListedOnly,
}

/// Holds the operator's list of networks that may be called besides the public internet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guard {
    allow_subnets: Arc<[IpNet]>,
}

impl Guard {
    pub fn new(allow_subnets: Vec<IpNet>) -> Guard {
        Guard { allow_subnets: allow_subnets.into() }
    }

    /// Checks where a caller wants to be told news (`webhookTarget`, an endpoint). `hosts`: the tenant's own list, exact
    /// (`hooks.shop.example`) or with everything below a name (`*.shop.example`); empty allows every host.
    pub fn check_url(&self, text: &str, hosts: &[String]) -> Result<Url, GuardRefusal> {
        let url = self.check(text, hosts)?;
        if url.fragment().is_some() { Err(GuardRefusal::Fragment) } else { Ok(url) }
    }

    /// Checks where a payer's browser is to be sent back to. Never dialled by us; a fragment is usual there.
    pub fn check_return_url(&self, text: &str) -> Result<Url, GuardRefusal> {
        self.check(text, &[])
    }

    fn check(&self, text: &str, hosts: &[String]) -> Result<Url, GuardRefusal> {
        let url = parse(text)?;
        let name = url.host_str().unwrap_or_default().to_owned();
        if !hosts.is_empty() && !hosts.iter().any(|pattern| matches_host(pattern, &name)) {
            return Err(GuardRefusal::NotListed(name));
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_literal(IpAddr::V4(address))?,
            Some(Host::Ipv6(address)) => self.check_literal(IpAddr::V6(address))?,
            Some(Host::Domain(name)) => self.check_name(name, &url)?,
            None => return Err(GuardRefusal::NotAnAddress),
        }
        Ok(url)
    }

    fn check_literal(&self, address: IpAddr) -> Result<(), GuardRefusal> {
        if self.is_listed(address) {
            Ok(())
        } else if ranges::is_special(address) {
            Err(GuardRefusal::Address(address.to_string()))
        } else {
            Err(GuardRefusal::Literal)
        }
    }

    fn check_name(&self, name: &str, url: &Url) -> Result<(), GuardRefusal> {
        if name.ends_with(OUR_SUFFIX) || name.ends_with('.') {
            return Err(GuardRefusal::Name(name.to_owned()));
        }
        if name == "localhost" && !self.loopback().is_empty() {
            return Ok(());
        }
        // Where it leads is known only when it is dialled; here it is enough that it could lead into a listed network.
        let may_be_listed = self.allow_subnets.iter().any(|net| !net.addr().is_loopback());
        if may_be_listed && name != "localhost" {
            return Ok(());
        }
        if is_internal(name) {
            return Err(GuardRefusal::Name(name.to_owned()));
        }
        if url.scheme() != "https" {
            return Err(GuardRefusal::Scheme);
        }
        if !has_safe_port(url) {
            return Err(GuardRefusal::Port(url.port().unwrap_or_default()));
        }
        Ok(())
    }

    /// What a call to a checked URL may dial.
    pub fn reach(&self, url: &Url) -> Reach {
        let public = match url.host() {
            Some(Host::Domain(name)) => !is_internal(name),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
        };
        if public && url.scheme() == "https" && has_safe_port(url) { Reach::Public } else { Reach::ListedOnly }
    }

    /// Whether this one address may be dialled. `host` is what the message calls it.
    pub fn check_address(&self, host: &str, address: IpAddr, reach: Reach) -> Result<(), GuardRefusal> {
        if self.is_listed(address) {
            return Ok(());
        }
        match reach {
            Reach::Public if !ranges::is_special(address) => Ok(()),
            Reach::ListedOnly if !ranges::is_special(address) => Err(GuardRefusal::Outside(host.to_owned())),
            Reach::Public | Reach::ListedOnly => Err(GuardRefusal::Address(host.to_owned())),
        }
    }

    /// Looks a name up and gives the addresses to dial. One address that is denied refuses the name: a name that mixes
    /// public and private addresses is either broken or an attack.
    pub async fn addresses(&self, name: &str, reach: Reach) -> Result<Vec<IpAddr>, Unreachable> {
        let not_found = || Unreachable::NotFound(name.to_owned());
        let lower = name.trim_end_matches('.').to_ascii_lowercase();
        if lower == "localhost" {
            // RFC 6761: never asked of a name server, always the own machine.
            let own = self.loopback();
            return if own.is_empty() { Err(Unreachable::Denied(GuardRefusal::Address(lower))) } else { Ok(own) };
        }
        if lower == "invalid" || lower.ends_with(".invalid") || lower.ends_with(OUR_SUFFIX) {
            // RFC 6761: exists nowhere.
            return Err(not_found());
        }
        let found = tokio::net::lookup_host((lower.as_str(), 0)).await.map_err(|_| not_found())?;
        let addresses: Vec<IpAddr> = found.map(|socket| socket.ip()).collect();
        for address in &addresses {
            self.check_address(name, *address, reach).map_err(Unreachable::Denied)?;
        }
        if addresses.is_empty() { Err(not_found()) } else { Ok(addresses) }
    }

    fn is_listed(&self, address: IpAddr) -> bool {
        let address = ranges::canonical(address);
        !ranges::is_never(address) && self.allow_subnets.iter().any(|net| net.contains(&address))
    }

    /// The own machine's addresses that the operator listed.
    fn loopback(&self) -> Vec<IpAddr> {
        let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        own.into_iter().filter(|address| self.is_listed(*address)).collect()
    }
}

/// One parser for everything, and nothing in the text that another parser could read differently.
fn parse(text: &str) -> Result<Url, GuardRefusal> {
    if text.len() > URL_MAX {
        return Err(GuardRefusal::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(GuardRefusal::Characters);
    }
    let (scheme, rest) = text.split_once("://").ok_or(GuardRefusal::NotAnAddress)?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(GuardRefusal::Scheme);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err(GuardRefusal::NotAnAddress);
    }
    if authority.contains('@') {
        return Err(GuardRefusal::UserInfo);
    }
    Url::parse(text).map_err(|_| GuardRefusal::NotAnAddress)
}

fn is_internal(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let below = |suffix: &&str| name.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.contains('.') || INTERNAL_SUFFIXES.iter().any(below)
}

fn has_safe_port(url: &Url) -> bool {
    match url.port_or_known_default() {
        Some(443) => true,
        Some(port) => port >= FIRST_FREE_PORT && !UNSAFE_PORTS.contains(&port),
        None => false,
    }
}

/// `pattern`: a host, or `*.` and a name for every host below it. Any letter case.
fn matches_host(pattern: &str, host: &str) -> bool {
    let pattern = pattern.trim().to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => host == pattern,
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
