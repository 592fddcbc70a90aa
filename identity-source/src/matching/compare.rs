//! How two patients compare, field by field: pure, the same for the same input, whatever the input is.

use std::collections::BTreeSet;

use super::explanation::{Explanation, Said};
use super::features::{Address, Born, Features};
use super::letters::Word;
use super::model::{Field, Grade, RELATIVES};
use super::settings::Settings;

/// From this Jaro-Winkler similarity on, words count as one with a slip.
const SIMILAR: f64 = 0.9;
/// Years between people of two generations.
const GENERATION: u16 = 13;

/// Of all people, the part that has a name with this word.
pub(crate) type Common<'a> = &'a dyn Fn(&Word) -> f64;

/// A name nothing is known of counts as had by one in so many.
pub(crate) const UNKNOWN: f64 = 1.0 / 2_000.0;

/// Bits that having these words in common is worth: those of the more common one.
fn rarity(one: &Word, other: &Word, common: Common<'_>) -> f64 {
    let part = if one == other { common(one) } else { common(one).max(common(other)) };
    (-part.log2()).clamp(2.0, 13.0)
}

/// What a comparison comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison {
    /// Probability that both are one person, 0 to 1.
    pub(crate) score: f64,
    /// By the thresholds.
    pub(crate) grade: Grade,
    /// How it came about.
    pub(crate) explanation: Explanation,
}

/// Compares two patients, either way round the same. `people` is how many there are that the one could be.
pub(crate) fn compare(
    one: &Features,
    other: &Features,
    common: Common<'_>,
    people: f64,
    settings: &Settings,
) -> Comparison {
    let mut tally = Tally { settings, fields: Vec::new(), stranger: 0.0, relative: 0.0, levels: Vec::new() };
    identifiers(one, other, &mut tally);
    names(one, other, common, &mut tally);
    birth(one, other, &mut tally);
    household(one, other, &mut tally);
    tally.judge(people)
}

/// What was found so far.
struct Tally<'a> {
    settings: &'a Settings,
    fields: Vec<Said>,
    levels: Vec<(Field, &'static str)>,
    stranger: f64,
    relative: f64,
}

impl Tally<'_> {
    /// Takes a level in; `rarity` are the bits of a name in common.
    fn take(&mut self, field: Field, level: &'static str, rarity: f64) {
        let Some(found) = self.settings.level(field, level) else { return };
        let weight = found.stranger + rarity;
        self.stranger += weight;
        self.relative += found.relative;
        self.levels.push((field, level));
        let weight = (weight * 10.0).round() / 10.0;
        self.fields.push(Said { field: field.word().to_owned(), says: found.says.to_owned(), weight });
    }

    fn has(&self, field: Field, levels: &[&str]) -> bool {
        self.levels.iter().any(|(of, level)| *of == field && levels.contains(level))
    }

    /// The odds against a stranger and against a relative, together.
    fn judge(self, people: f64) -> Comparison {
        let stranger = (people.max(1.0).log2() - self.stranger).exp2();
        let shares_home = self.has(Field::Address, &["equal"]) || self.has(Field::Telecom, &["equal"]);
        let may_be_family =
            shares_home || self.has(Field::Family, &["equal", "spelling", "part", "exchanged", "similar"]);
        let relative = if may_be_family { (RELATIVES - self.relative).exp2() } else { 0.0 };
        let probability = 1.0 / (1.0 + stranger + relative);
        let held = self.held_back();
        let certain = self.settings.certain;
        let mut score = if held.is_some() { probability.min(certain * 0.999) } else { probability };
        score = (score * 10_000.0).floor() / 10_000.0;
        let grade = self.settings.grade(score);
        let held = held.filter(|_| probability >= self.settings.possible).map(str::to_owned);
        let weight = (-(stranger + relative).log2()).clamp(-99.0, 99.0);
        let explanation = Explanation { weight: (weight * 10.0).round() / 10.0, fields: self.fields, held };
        Comparison { score, grade, explanation }
    }

    /// Why two records can never be certainly one person, however much agrees: what a family or two of one birth would show too.
    fn held_back(&self) -> Option<&'static str> {
        let differs: [(Field, &[&str], &str); 7] = [
            (Field::Identifier, &["other"], "the same domain has given them two identifiers"),
            (
                Field::Given,
                &["different", "further", "similar", "initial"],
                "given names differ: it may be a twin",
            ),
            (Field::Family, &["different"], "family names differ"),
            (Field::Generation, &["different"], "the elder and the younger of a name"),
            (Field::BirthDate, &["different", "generation", "part"], "dates of birth differ"),
            (Field::Gender, &["different"], "gender differs"),
            (Field::BirthOrder, &["different"], "they are children of one birth"),
        ];
        let same_identifier = self.has(Field::Identifier, &["equal"]);
        for (field, levels, why) in differs {
            // A family name changes; who has the same identifier beside given name and birth is the same person still.
            if self.has(field, levels) && !(same_identifier && field == Field::Family) {
                return Some(why);
            }
        }
        if same_identifier {
            return None;
        }
        let whole = ["equal", "placeholder", "exchanged", "digit"];
        if !self.has(Field::BirthDate, &whole) {
            return Some("no whole date of birth to compare: it may be father and son");
        }
        if !self.has(Field::Given, &["equal", "spelling", "part", "exchanged"]) {
            return Some("no given name to compare");
        }
        let beside = self.has(Field::Address, &["equal"]) || self.has(Field::Telecom, &["equal"]);
        if !self.has(Field::BirthDate, &["equal"]) && !beside {
            return Some("the date of birth does not quite agree, and neither address nor telephone do");
        }
        None
    }
}

fn identifiers(one: &Features, other: &Features, tally: &mut Tally<'_>) {
    if one.identifiers.iter().any(|known| other.identifiers.contains(known)) {
        tally.take(Field::Identifier, "equal", 0.0);
    } else if one
        .identifiers
        .iter()
        .any(|known| other.identifiers.iter().any(|its| its.system == known.system))
    {
        tally.take(Field::Identifier, "other", 0.0);
    }
}

fn names(one: &Features, other: &Features, common: Common<'_>, tally: &mut Tally<'_>) {
    let family = best(&one.families, &other.families, &|one, its| same_family(one, its, common));
    let given = best(&one.givens, &other.givens, &|one, its| same_given(one, its, common));
    let is_poor = |found: &Option<(&'static str, f64)>| {
        found.is_none_or(|(level, _)| matches!(level, "different" | "similar"))
    };
    if is_poor(&family) && is_poor(&given) {
        let family_as_given = best(&one.families, &other.givens, &|one, its| same_family(one, its, common));
        let given_as_family = best(&one.givens, &other.families, &|one, its| same_family(one, its, common));
        if let (Some((family, family_bits)), Some((given, given_bits))) = (family_as_given, given_as_family)
            && !matches!(family, "different" | "similar")
            && !matches!(given, "different" | "similar")
        {
            tally.take(Field::Family, "exchanged", family_bits);
            tally.take(Field::Given, "exchanged", given_bits);
            return;
        }
    }
    if let Some((level, bits)) = family {
        tally.take(Field::Family, level, bits);
    }
    if let Some((level, bits)) = given {
        tally.take(Field::Given, level, bits);
    }
    if let (Some(one), Some(its)) = (&one.generation, &other.generation)
        && one != its
    {
        tally.take(Field::Generation, "different", 0.0);
    }
}

/// How two words of names compare, best first.
const RANKS: &[&str] = &["equal", "spelling", "part", "further", "similar", "initial", "different"];

/// How two names compare, and the bits of what they have in common.
type Compare<'a> = &'a dyn Fn(&[Word], &[Word]) -> (&'static str, f64);

/// The best of all pairs of names, with the bits of what they have in common; none if one side has none.
fn best(ones: &[Vec<Word>], others: &[Vec<Word>], compare: Compare<'_>) -> Option<(&'static str, f64)> {
    let rank = |level: &str| RANKS.iter().position(|known| *known == level).unwrap_or(RANKS.len());
    let pairs = ones.iter().flat_map(|one| others.iter().map(move |other| compare(one, other)));
    pairs.min_by(|one, other| rank(one.0).cmp(&rank(other.0)).then(other.1.total_cmp(&one.1)))
}

/// How many words both have, as they stand or as they sound, whether as they stand, and the bits of the rarest.
fn shared(one: &[Word], other: &[Word], common: Common<'_>) -> (usize, bool, f64) {
    let (mut as_written, mut bits) = (true, 0.0_f64);
    for word in one {
        let equal = other.iter().find(|its| its.plain == word.plain);
        if let Some(its) = equal.or_else(|| other.iter().find(|its| its.sound == word.sound)) {
            as_written &= equal.is_some();
            bits = bits.max(rarity(word, its, common));
        }
    }
    let meet = |some: &[Word], those: &[Word]| {
        some.iter().filter(|word| those.iter().any(|its| its.sound == word.sound)).count()
    };
    (meet(one, other).min(meet(other, one)), as_written, bits)
}

/// The bits of names that are one when read without a break.
fn joined_bits(one: &[Word], other: &[Word], common: Common<'_>) -> Option<f64> {
    let joined = |words: &[Word]| words.iter().map(|word| word.sound.as_str()).collect::<String>();
    let rarest = |words: &[Word]| words.iter().map(|word| rarity(word, word, common)).fold(0.0, f64::max);
    (joined(one) == joined(other)).then(|| rarest(one).min(rarest(other)))
}

fn same_family(one: &[Word], other: &[Word], common: Common<'_>) -> (&'static str, f64) {
    let (number, as_written, bits) = shared(one, other, common);
    if number > 0 && number == one.len() && one.len() == other.len() {
        return (if as_written { "equal" } else { "spelling" }, bits);
    }
    if let Some(bits) = joined_bits(one, other, common) {
        return ("spelling", bits);
    }
    if number > 0 {
        return ("part", bits);
    }
    similar(one, other, common).map_or(("different", 0.0), |bits| ("similar", bits))
}

fn same_given(one: &[Word], other: &[Word], common: Common<'_>) -> (&'static str, f64) {
    let (number, as_written, bits) = shared(one, other, common);
    let fewer = one.len().min(other.len());
    if number > 0 && number >= fewer {
        let first = one.first().zip(other.first()).is_some_and(|(one, its)| one.sound == its.sound);
        let level = match (one.len() == other.len(), first) {
            (true, _) | (false, true) if as_written => "equal",
            (true, _) | (false, true) => "spelling",
            (false, false) => "part",
        };
        return (level, bits);
    }
    if let Some(bits) = joined_bits(one, other, common) {
        return ("spelling", bits);
    }
    if number > 0 {
        // Hans P. and Hans Peter say the same of the second name as far as one of them says anything.
        let rest_are_initials = one.iter().skip(1).chain(other.iter().skip(1)).any(Word::is_initial);
        return (if rest_are_initials { "part" } else { "further" }, bits);
    }
    if let Some(bits) = similar(one, other, common) {
        return ("similar", bits);
    }
    let letter = |words: &[Word]| words.first().and_then(|word| word.plain.chars().next());
    let has_initial = [one, other].iter().any(|words| words.first().is_some_and(Word::is_initial));
    if has_initial && letter(one) == letter(other) { ("initial", 0.0) } else { ("different", 0.0) }
}

/// The bits of a word that is like one of the others but for a slip; none if no two are.
fn similar(one: &[Word], other: &[Word], common: Common<'_>) -> Option<f64> {
    let pairs = one.iter().flat_map(|word| other.iter().map(move |its| (word, its)));
    let alike = pairs.filter(|(word, its)| slip(&word.plain, &its.plain));
    alike.map(|(word, its)| rarity(word, its, common)).reduce(f64::max)
}

/// Whether two words are one but for a slip of the pen, or a short form of each other.
fn slip(one: &str, other: &str) -> bool {
    let shorter = one.len().min(other.len());
    if shorter < 3 {
        return false;
    }
    strsim::jaro_winkler(one, other) >= SIMILAR || shorter >= 4 && strsim::osa_distance(one, other) <= 1
}

fn birth(one: &Features, other: &Features, tally: &mut Tally<'_>) {
    if let (Some(born), Some(its)) = (one.born, other.born) {
        tally.take(Field::BirthDate, same_birth(born, its), 0.0);
    }
    if let (Some(sex), Some(its)) = (one.sex, other.sex) {
        tally.take(Field::Gender, if sex == its { "equal" } else { "different" }, 0.0);
    }
    if let (Some(order), Some(its)) = (one.birth_order, other.birth_order)
        && order != its
    {
        tally.take(Field::BirthOrder, "different", 0.0);
    }
}

fn same_birth(one: Born, other: Born) -> &'static str {
    let apart = one.year.abs_diff(other.year);
    let (Some(month), Some(its_month)) = (one.month, other.month) else {
        return match apart {
            0 => "year",
            _ if apart >= GENERATION => "generation",
            _ => "different",
        };
    };
    let (Some(day), Some(its_day)) = (one.day, other.day) else {
        return match (apart, month == its_month) {
            (0, true) => "month",
            (0, false) => "part",
            _ if apart >= GENERATION => "generation",
            _ => "different",
        };
    };
    let digits = |one: u16, its: u16| one_digit(&format!("{one:04}"), &format!("{its:04}"));
    match (apart == 0, month == its_month, day == its_day) {
        // Where only the year is known, or nothing, many systems write the first of January.
        (true, true, true) if (month, day) == (1, 1) || one.year <= 1900 => "placeholder",
        (true, true, true) => "equal",
        (true, false, false) if (month, day) == (its_day, its_month) => "exchanged",
        (true, true, false) if digits(day.into(), its_day.into()) => "digit",
        (true, false, true) if digits(month.into(), its_month.into()) => "digit",
        (false, true, true) if apart >= GENERATION => "generation",
        (false, true, true) if digits(one.year, other.year) => "digit",
        (true, true, false) | (true, false, true) | (false, true, true) => "part",
        (false, _, _) if apart >= GENERATION => "generation",
        _ => "different",
    }
}

/// Whether two numbers of one length differ by one digit, or by two neighbours exchanged.
fn one_digit(one: &str, other: &str) -> bool {
    strsim::osa_distance(one, other) == 1
}

/// What a household shares: address, telephone, the mother's name.
fn household(one: &Features, other: &Features, tally: &mut Tally<'_>) {
    let pairs =
        one.addresses.iter().flat_map(|address| other.addresses.iter().map(move |its| (address, its)));
    // The nearest of all pairs decides: people have addresses they have left.
    let nearest = pairs.filter_map(|(address, its)| same_address(address, its)).min();
    match nearest {
        Some(0) => tally.take(Field::Address, "equal", 0.0),
        Some(1) => tally.take(Field::Address, "place", 0.0),
        Some(_) => tally.take(Field::Address, "different", 0.0),
        None => {}
    }
    let contacts: BTreeSet<&String> = one.contacts.iter().collect();
    if other.contacts.iter().any(|contact| contacts.contains(contact)) {
        tally.take(Field::Telecom, "equal", 0.0);
    } else if !one.contacts.is_empty() && !other.contacts.is_empty() {
        tally.take(Field::Telecom, "different", 0.0);
    }
    if !one.mother.is_empty() && !other.mother.is_empty() {
        let level = match same_family(&one.mother, &other.mother, &|_| UNKNOWN).0 {
            "equal" | "spelling" => "equal",
            "part" | "similar" => "similar",
            _ => "different",
        };
        tally.take(Field::MothersMaidenName, level, 0.0);
    }
}

/// 0 for one house, 1 for one place, 2 for another one; none if nothing can be compared.
fn same_address(one: &Address, other: &Address) -> Option<u8> {
    let known = |one: &str, other: &str| !one.is_empty() && !other.is_empty();
    let has_place = known(&one.postal_code, &other.postal_code) || known(&one.city, &other.city);
    let same_place = known(&one.postal_code, &other.postal_code) && one.postal_code == other.postal_code
        || known(&one.city, &other.city) && strsim::jaro_winkler(&one.city, &other.city) >= SIMILAR;
    let has_street = known(&one.street, &other.street) && known(&one.number, &other.number);
    let same_street = has_street
        && one.number == other.number
        && strsim::jaro_winkler(&one.street, &other.street) >= SIMILAR;
    match (has_place, same_place, has_street) {
        (true, true, true) if same_street => Some(0),
        (true, true, _) => Some(1),
        (true, false, _) => Some(2),
        (false, _, _) => None,
    }
}

#[cfg(test)]
mod tests;
