//! References: who calls a thing what.

use std::fmt;

/// Our name for a transaction at the PSP: minted and committed before the first byte leaves, and never used twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OurReference(pub String);

impl fmt::Display for OurReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which characters, and how many, a PSP takes as our reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceRule {
    pub max_length: usize,
    /// Characters allowed; a reference is minted from these alone.
    pub alphabet: &'static str,
}

impl ReferenceRule {
    pub const LOWER_ALPHANUMERIC: &'static str = "0123456789abcdefghijklmnopqrstuvwxyz";

    /// Makes a reference out of 128 bits that have never been used before (a UUID). Needs room for all of them, so that
    /// two are never the same: 25 characters of 36, 26 of 32, 39 of 10.
    pub fn mint(&self, unique: u128) -> OurReference {
        let alphabet = self.alphabet.as_bytes();
        let base = alphabet.len() as u128;
        let (mut left, mut text) = (unique, Vec::new());
        while left > 0 || text.is_empty() {
            text.push(alphabet[(left % base) as usize]);
            left /= base;
        }
        let width = self.full_width();
        while text.len() < width {
            text.push(alphabet[0]);
        }
        text.reverse();
        OurReference(String::from_utf8_lossy(&text).into_owned())
    }

    pub fn accepts(&self, reference: &str) -> bool {
        !reference.is_empty()
            && reference.len() <= self.max_length
            && reference.chars().all(|c| self.alphabet.contains(c))
    }

    /// Characters that any 128 bits fit into.
    fn full_width(&self) -> usize {
        let base = self.alphabet.len() as u128;
        let (mut left, mut width) = (u128::MAX, 0);
        while left > 0 {
            left /= base;
            width += 1;
        }
        width
    }

    /// Whether [`ReferenceRule::mint`] always fits: checked for every manifest by the conformance suite.
    pub fn has_room(&self) -> bool {
        self.alphabet.is_ascii() && self.alphabet.len() >= 2 && self.full_width() <= self.max_length
    }
}

/// The names a report or a lookup may carry. Empty where the PSP did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    pub ours: Option<OurReference>,
    /// The PSP's own id of the transaction.
    pub theirs: Option<String>,
    /// The payment scheme's id, such as PIX's end-to-end id.
    pub scheme: Option<String>,
    pub parent_ours: Option<OurReference>,
    pub parent_theirs: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_references_obey_their_rule_and_differ() {
        for (alphabet, max_length) in
            [(ReferenceRule::LOWER_ALPHANUMERIC, 35), ("0123456789", 39), ("0123456789ABCDEF", 32)]
        {
            let rule = ReferenceRule { max_length, alphabet };
            assert!(rule.has_room());
            for unique in [0, 1, u128::MAX, u128::MAX - 1, 1 << 127] {
                let minted = rule.mint(unique);
                assert!(rule.accepts(&minted.0), "{minted}");
            }
            assert_ne!(rule.mint(1), rule.mint(2));
            assert_eq!(rule.mint(7).0.len(), rule.mint(u128::MAX).0.len(), "sorted by age as texts");
        }
        assert!(!ReferenceRule { max_length: 20, alphabet: "0123456789" }.has_room());
    }
}
