//! Is this the same request again? A request is a sorted map from field path to canonical text; what is kept of it is a
//! short fingerprint per field, so that a repeat that differs can be told *which* field differs without keeping its data.
//!
//! A field that the caller left out is left out of the map, not written as empty: a field that a later version of the
//! contract adds then makes no old request differ.

use std::collections::BTreeMap;

/// Field path (`paymentMeansReference.role`) to the fingerprint of its canonical text.
pub type Fingerprints = BTreeMap<String, String>;

/// Whether a repeat is the request that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sameness {
    Same,
    /// The path of the field to name to the caller.
    Differs(String),
}

/// The fingerprints of a request's fields. `fingerprint` is the caller's hash, keyed or long enough that a guess at a
/// field's content costs something.
pub fn fingerprints(fields: &BTreeMap<String, String>, fingerprint: impl Fn(&str) -> String) -> Fingerprints {
    fields.iter().map(|(path, text)| (path.clone(), fingerprint(text))).collect()
}

/// Compares what was kept with what is given. Of several differing fields the one is named that says most to a person:
/// an amount, then a currency, then the field nearest to the top, then by the alphabet.
pub fn compare(stored: &Fingerprints, given: &Fingerprints) -> Sameness {
    let changed = stored.iter().filter(|(path, kept)| given.get(*path) != Some(kept)).map(|(path, _)| path);
    let added = given.keys().filter(|path| !stored.contains_key(*path));
    match changed.chain(added).min_by_key(|path| rank(path)) {
        None => Sameness::Same,
        Some(path) => Sameness::Differs(path.clone()),
    }
}

fn rank(path: &str) -> (u8, usize, &str) {
    let name = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
    let weight = if name.contains("amount") {
        0
    } else if name.contains("currency") {
        1
    } else {
        2
    };
    (weight, path.matches('.').count(), path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(fields: &[(&str, &str)]) -> Fingerprints {
        let fields = fields.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        fingerprints(&fields, |text| format!("#{text}"))
    }

    #[test]
    fn the_field_that_says_most_is_named() {
        let kept = &[("currency", "EUR"), ("payerData.email", "a@b"), ("requestedAmount", "1000"), ("role", "card")];
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
        let rows: &[Row] = &[
            (&[("role", "card"), ("requestedAmount", "1000"), ("currency", "EUR"), ("payerData.email", "a@b")], None),
            (
                &[("currency", "USD"), ("payerData.email", "x@y"), ("requestedAmount", "1"), ("role", "debit")],
                Some("requestedAmount"),
            ),
            (
                &[("currency", "USD"), ("payerData.email", "x@y"), ("requestedAmount", "1000"), ("role", "debit")],
                Some("currency"),
            ),
            (
                &[("currency", "EUR"), ("payerData.email", "x@y"), ("requestedAmount", "1000"), ("role", "debit")],
                Some("role"),
            ),
            (
                &[("currency", "EUR"), ("payerData.email", "x@y"), ("requestedAmount", "1000"), ("role", "card")],
                Some("payerData.email"),
            ),
            // Left out, and added.
            (&[("currency", "EUR"), ("payerData.email", "a@b"), ("requestedAmount", "1000")], Some("role")),
            (
                &[
                    ("currency", "EUR"),
                    ("payerData.email", "a@b"),
                    ("payerData.language", "de"),
                    ("requestedAmount", "1000"),
                    ("role", "card"),
                ],
                Some("payerData.language"),
            ),
        ];
        for (given, expected) in rows {
            let expected = expected.map_or(Sameness::Same, |path| Sameness::Differs(path.to_owned()));
            assert_eq!(compare(&request(kept), &request(given)), expected, "{given:?}");
        }
        assert_eq!(compare(&Fingerprints::new(), &Fingerprints::new()), Sameness::Same);
    }

    proptest! {
        #[test]
        fn it_is_symmetric_and_same_means_equal(
            a in proptest::collection::btree_map("[a-c](\\.[a-c])?", "[xy]", 0..4),
            b in proptest::collection::btree_map("[a-c](\\.[a-c])?", "[xy]", 0..4),
        ) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a));
            prop_assert_eq!(compare(&a, &b) == Sameness::Same, a == b);
        }
    }
}
