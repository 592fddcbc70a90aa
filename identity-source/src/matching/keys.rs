//! Blocking keys: what two records of one person share in spite of most slips, so that candidates are looked for in an index and
//! never by a scan. Each key survives another kind of slip; which of them meet, and how often, is measured in `docs/matching.md`.

use std::collections::BTreeSet;

use super::features::{Born, Features};
use super::letters::Word;

/// Keys of one record at most: one with many names would otherwise meet everybody.
const MOST: usize = 32;

/// The blocking keys of a patient: each a sort, then its parts.
pub(crate) fn keys(features: &Features) -> Vec<String> {
    let mut keys = BTreeSet::new();
    for contact in &features.contacts {
        keys.insert(format!("t:{contact}"));
    }
    let families = codes(&features.families);
    let givens = codes(&features.givens);
    if let Some(Born { year, month: Some(month), day: Some(day) }) = features.born {
        // Either name may be wrong, changed, or stand where the other belongs, if the day of birth is right.
        for code in families.iter().chain(&givens) {
            keys.insert(format!("b:{year:04}{month:02}{day:02}:{code}"));
        }
    }
    for family in &families {
        for given in &givens {
            let (one, other) = if family <= given { (family, given) } else { (given, family) };
            keys.insert(format!("n:{one}:{other}"));
            if let Some(born) = features.born {
                keys.insert(format!("y:{:04}:{one}:{other}", born.year));
            }
            for address in &features.addresses {
                if !address.postal_code.is_empty() {
                    keys.insert(format!("p:{}:{one}:{other}", address.postal_code));
                }
            }
        }
    }
    keys.into_iter().take(MOST).collect()
}

/// The codes of all words of these names, few and different.
fn codes(names: &[Vec<Word>]) -> Vec<String> {
    let mut codes = Vec::new();
    for word in names.iter().flatten() {
        let code = word.code();
        if !code.is_empty() && !codes.contains(&code) && codes.len() < 4 {
            codes.push(code);
        }
    }
    codes
}

/// What a key stands for, in words; it may hold names, so it is never told itself.
pub(crate) fn describe(key: &str) -> &'static str {
    match key.split(':').next() {
        Some("t") => "the same telephone number or mail address",
        Some("b") => "the same date of birth and a name that sounds alike",
        Some("y") => "names that sound alike and the same year of birth",
        Some("p") => "names that sound alike and the same postal code",
        _ => "names that sound alike",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(patient: &Value) -> BTreeSet<String> {
        keys(&Features::of(patient.as_object().expect("is an object"))).into_iter().collect()
    }

    #[test]
    fn each_slip_leaves_a_key_that_still_meets() {
        let name = |family: &str, given: &str| json!([{ "family": family, "given": [given] }]);
        let right = json!({ "name": name("Müller", "Katharina"), "birthDate": "1958-01-30" });
        for (slip, wrong) in [
            ("spelling", json!({ "name": name("Mueller", "Catarina"), "birthDate": "1958-01-30" })),
            ("day and month", json!({ "name": name("Müller", "Katharina"), "birthDate": "1958-03-10" })),
            ("names exchanged", json!({ "name": name("Katharina", "Müller"), "birthDate": "1958-01-30" })),
            ("new family name", json!({ "name": name("Berger", "Katharina"), "birthDate": "1958-01-30" })),
            ("short given name", json!({ "name": name("Müller", "Kathi"), "birthDate": "1958-01-30" })),
            ("wrong year", json!({ "name": name("Müller", "Katharina"), "birthDate": "1985-01-30" })),
            ("no date", json!({ "name": name("Müller", "Katharina") })),
        ] {
            assert!(!of(&right).is_disjoint(&of(&wrong)), "{slip}");
        }
    }

    #[test]
    fn somebody_else_has_other_keys() {
        let one =
            json!({ "name": [{ "family": "Müller", "given": ["Katharina"] }], "birthDate": "1958-01-30" });
        let other = json!({ "name": [{ "family": "Huber", "given": ["Franz"] }], "birthDate": "1958-01-30" });
        assert!(of(&one).is_disjoint(&of(&other)));
    }
}
