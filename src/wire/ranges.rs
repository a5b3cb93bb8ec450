//! Which addresses are not the public internet. Data, and the two questions asked of it.
//!
//! Ranges: the IANA special-purpose registries for IPv4 and IPv6, plus the addresses cloud providers answer metadata on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(first: [u16; 4], last: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first[0], first[1], first[2], first[3], 0, 0, 0, last), length)
}

/// Not public. An operator may open these.
const SPECIAL_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),       // "this network"; 0.0.0.0 reaches the own machine
    v4(10, 0, 0, 0, 8),      // private
    v4(100, 64, 0, 0, 10),   // carrier-grade NAT
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link-local
    v4(172, 16, 0, 0, 12),   // private
    v4(192, 0, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 88, 99, 0, 24),  // 6to4 relays, withdrawn
    v4(192, 168, 0, 0, 16),  // private
    v4(198, 18, 0, 0, 15),   // benchmarking
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 4),     // multicast
    v4(240, 0, 0, 0, 4),     // reserved, and 255.255.255.255
];

const SPECIAL_V6: &[Ipv6Net] = &[
    v6([0, 0, 0, 0], 0, 96),          // unspecified, loopback, IPv4-compatible
    TRANSLATED,                       // IPv4-translated (SIIT)
    NAT64,                            //
    v6([0x64, 0xff9b, 1, 0], 0, 48),  // NAT64, local use
    v6([0x100, 0, 0, 0], 0, 64),      // discard only
    v6([0x2001, 0, 0, 0], 0, 23),     // Teredo, ORCHID, benchmarking
    v6([0x2001, 0xdb8, 0, 0], 0, 32), // documentation
    v6([0x2002, 0, 0, 0], 0, 16),     // 6to4
    v6([0x3fff, 0, 0, 0], 0, 20),     // documentation
    v6([0x5f00, 0, 0, 0], 0, 16),     // segment routing
    v6([0xfc00, 0, 0, 0], 0, 7),      // unique local
    v6([0xfe80, 0, 0, 0], 0, 10),     // link-local
    v6([0xfec0, 0, 0, 0], 0, 10),     // site-local, withdrawn
    v6([0xff00, 0, 0, 0], 0, 8),      // multicast
];

/// Never reached, whatever an operator lists: link-local, and where cloud providers hand out credentials.
const NEVER_V4: &[Ipv4Net] = &[
    v4(169, 254, 0, 0, 16),
    v4(100, 100, 100, 200, 32), // Alibaba
    v4(168, 63, 129, 16, 32),   // Azure; a public address
    v4(192, 0, 0, 192, 32),     // Oracle
];

const NEVER_V6: &[Ipv6Net] = &[
    v6([0xfe80, 0, 0, 0], 0, 10),
    v6([0xfd00, 0xec2, 0, 0], 0x254, 128), // Amazon
    v6([0xfd20, 0xce, 0, 0], 0x254, 128),  // Google
    v6([0xfd00, 0x42, 0, 0], 0x42, 128),   // Scaleway
];

const COMPATIBLE: Ipv6Net = v6([0, 0, 0, 0], 0, 96);
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 0, 96);
const TRANSLATED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0], 0, 16);
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0], 0, 32);

/// The address a packet would go to: `::ffff:a.b.c.d` is `a.b.c.d`.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Special ranges, and every address that carries a metadata address inside.
pub(super) fn is_special(address: IpAddr) -> bool {
    let special = match canonical(address) {
        IpAddr::V4(v4) => SPECIAL_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => SPECIAL_V6.iter().any(|net| net.contains(&v6)),
    };
    special || is_never(address)
}

/// Whether no list may open this address.
pub(super) fn is_never(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(v4) => NEVER_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => {
            NEVER_V6.iter().any(|net| net.contains(&v6))
                || embedded(v6).is_some_and(|v4| NEVER_V4.iter().any(|net| net.contains(&v4)))
        }
    }
}

/// The IPv4 address that a gateway would take out of this one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bytes = address.octets();
    let tail = Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]);
    if [COMPATIBLE, NAT64, TRANSLATED].iter().any(|net| net.contains(&address)) {
        Some(tail)
    } else if SIX_TO_FOUR.contains(&address) {
        Some(Ipv4Addr::new(bytes[2], bytes[3], bytes[4], bytes[5]))
    } else if TEREDO.contains(&address) {
        Some(Ipv4Addr::from_bits(!tail.to_bits()))
    } else {
        None
    }
}
