use serde_json::{Value, json};

use super::*;

/// How two patients compare in a domain of 100,000.
fn judge(one: &Value, other: &Value) -> Comparison {
    let of = |patient: &Value| Features::of(patient.as_object().expect("is an object"));
    compare(&of(one), &of(other), &|_| UNKNOWN, 100_000.0, &Settings::default())
}

fn person(family: &str, given: &[&str], gender: &str, born: &str) -> Value {
    json!({
        "name": [{ "family": family, "given": given }], "gender": gender, "birthDate": born,
        "telecom": [{ "system": "phone", "value": "+43 1 5550147" }],
        "address": [{ "line": ["Beispielgasse 7"], "city": "Wien", "postalCode": "1010" }]
    })
}

fn without(mut patient: Value, members: &[&str]) -> Value {
    for member in members {
        patient.as_object_mut().expect("is an object").shift_remove(*member);
    }
    patient
}

#[test]
fn equal_name_gender_and_birth_date_are_certain() {
    let alice = without(person("MOHR", &["ALICE"], "female", "1958-01-30"), &["telecom", "address"]);
    let found = judge(&alice, &person("Mohr", &["Alice"], "female", "1958-01-30"));
    assert_eq!(found.grade, Grade::Certain, "{found:?}");
    assert!(found.score > 0.999 && found.score < 1.0, "{}", found.score);
}

#[test]
fn twins_of_one_household_are_never_certain() {
    let lena = person("Gruber", &["Lena"], "female", "2019-05-04");
    for (twin, gender) in [("Lina", "female"), ("Leni", "female"), ("Jonas", "male"), ("Marlene", "female")] {
        let found = judge(&lena, &person("Gruber", &[twin], gender, "2019-05-04"));
        assert!(found.grade < Grade::Certain, "{twin}: {found:?}");
    }
    let newborn = |order: u64| {
        let mut newborn = person("Gruber", &["Baby"], "female", "2019-05-04");
        newborn["multipleBirthInteger"] = order.into();
        newborn
    };
    assert!(judge(&newborn(1), &newborn(2)).grade < Grade::Probable);
    let named_by_nobody = without(newborn(1), &["multipleBirthInteger"]);
    assert!(judge(&named_by_nobody, &named_by_nobody).grade < Grade::Certain, "two newborns without a name");
}

#[test]
fn father_and_son_of_one_name_are_never_certain() {
    let father = person("Huber", &["Johann"], "male", "1951-03-02");
    for born in ["1978-11-20", "1978-03-02", "1915-03-02", "1951-03-03"] {
        let found =
            judge(&father, &without(person("Huber", &["Johann"], "male", born), &["telecom", "address"]));
        assert!(found.grade < Grade::Certain, "{born}: {found:?}");
    }
    for born in ["1978-11-20", "1978-03-02", "1985", "1978-03"] {
        let found = judge(&father, &person("Huber", &["Johann"], "male", born));
        assert!(found.grade < Grade::Certain, "{born}: {found:?}");
    }
    let undated = without(father.clone(), &["birthDate"]);
    assert!(judge(&undated, &father).grade < Grade::Certain, "one of them without a date of birth");
    let mut junior = father.clone();
    junior["name"][0]["suffix"] = json!(["jun."]);
    let mut senior = father.clone();
    senior["name"][0]["suffix"] = json!(["sen."]);
    assert!(judge(&junior, &senior).grade < Grade::Certain, "they say so themselves");
}

#[test]
fn slips_of_the_pen_leave_a_match_certain_or_probable() {
    let right = person("Müller", &["Katharina"], "female", "1958-04-07");
    for (slip, wrong, least) in [
        ("spelling", person("Mueller", &["Catharina"], "female", "1958-04-07"), Grade::Certain),
        ("day and month", person("Müller", &["Katharina"], "female", "1958-07-04"), Grade::Certain),
        ("names exchanged", person("Katharina", &["Müller"], "female", "1958-04-07"), Grade::Certain),
        (
            "a second given name",
            person("Müller", &["Katharina", "Eva"], "female", "1958-04-07"),
            Grade::Certain,
        ),
        (
            "a letter of the given name",
            person("Müller", &["Kathraina"], "female", "1958-04-07"),
            Grade::Probable,
        ),
        ("a new family name", person("Berger", &["Katharina"], "female", "1958-04-07"), Grade::Probable),
        ("a double name", person("Müller-Berger", &["Katharina"], "female", "1958-04-07"), Grade::Certain),
        ("a digit of the day", person("Müller", &["Katharina"], "female", "1958-04-01"), Grade::Probable),
    ] {
        let found = judge(&right, &wrong);
        assert!(found.grade >= least, "{slip}: {found:?}");
    }
}

#[test]
fn an_identifier_decides_unless_everything_else_speaks_against_it() {
    let card = |mut patient: Value, system: &str, value: &str| {
        patient["identifier"] = json!([{ "system": system, "value": value }]);
        patient
    };
    let known = card(person("Neff", &["Sang"], "male", "1938-05-12"), "2.16.756.5.30.1.127.3.10.3", "761");
    let alone = json!({ "identifier": [{ "system": "urn:oid:2.16.756.5.30.1.127.3.10.3", "value": "761" }] });
    assert_eq!(judge(&alone, &known).grade, Grade::Certain, "nothing but the identifier");
    let married =
        card(person("Wingeier", &["Sang"], "male", "1938-05-12"), "2.16.756.5.30.1.127.3.10.3", "761");
    assert_eq!(judge(&married, &known).grade, Grade::Certain, "with another family name");
    let daughter =
        card(person("Neff", &["Lena"], "female", "1970-01-03"), "2.16.756.5.30.1.127.3.10.3", "761");
    assert!(judge(&daughter, &known).grade < Grade::Probable, "somebody else with the same card");
    let second = card(person("Neff", &["Sang"], "male", "1938-05-12"), "2.16.756.5.30.1.127.3.10.3", "762");
    assert!(judge(&second, &known).grade < Grade::Certain, "two cards of one domain");
}

#[test]
fn what_is_missing_counts_neither_way() {
    let whole = person("Mohr", &["Alice"], "female", "1958-01-30");
    let bare = without(whole.clone(), &["telecom", "address", "gender"]);
    let found = judge(&bare, &whole);
    let fields: Vec<&str> = found.explanation.fields.iter().map(|said| said.field.as_str()).collect();
    assert_eq!(fields, ["family", "given", "birth-date"]);
    let nothing = judge(&json!({}), &whole);
    assert_eq!((nothing.grade, nothing.explanation.fields.len()), (Grade::CertainlyNot, 0));
}

#[test]
fn an_explanation_names_no_one() {
    let alice = person("Mohr", &["Alice"], "female", "1958-01-30");
    let words = judge(&alice, &person("Mohr", &["Alina"], "female", "1958-01-30")).explanation.words();
    assert!(words.contains("family name equal") && words.contains("not certain"), "{words}");
    for secret in ["Mohr", "mohr", "Alice", "1958", "5550147"] {
        assert!(!words.contains(secret), "{words}");
    }
}

/// Texts as attackers and broken systems send them.
fn hostile() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::strategy::Strategy as _;
    proptest::prop_oneof![
        "\\PC{0,40}",
        "[\\x00-\\x1f\\x7f]{0,20}",
        "[a-zäöüß' .-]{0,30}",
        "[🦀👩‍👩‍👧́̈ ]{0,12}",
        (1_usize..4).prop_map(|times| "Ａä-".repeat(10_000 * times)),
        "[0-9]{0,4}-?[0-9]{0,2}-?[0-9]{0,2}",
    ]
}

fn anything() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::strategy::Strategy as _;
    let texts = proptest::collection::vec(hostile(), 12);
    (texts, 0_u8..4).prop_map(|(texts, shape)| {
        let text = |index: usize| Value::from(texts[index].clone());
        match shape {
            0 => json!({ "name": texts[0], "birthDate": 5, "address": [[]], "identifier": { "a": 1 }, "telecom": [null] }),
            _ => json!({
                "name": [{ "family": text(0), "given": [text(1), text(2)], "suffix": [text(3)] }, { "text": text(4) }],
                "birthDate": text(5), "gender": (if shape == 1 { json!("male") } else { text(6) }),
                "address": [{ "line": [text(7)], "city": text(8), "postalCode": text(9) }],
                "telecom": [{ "value": text(10) }],
                "identifier": [{ "system": "urn:x", "value": text(11) }],
                "multipleBirthInteger": u64::MAX,
            }),
        }
    })
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn no_input_makes_the_matcher_fall_and_the_same_input_scores_the_same(one in anything(), other in anything()) {
        let found = judge(&one, &other);
        proptest::prop_assert!((0.0..=1.0).contains(&found.score), "{found:?}");
        proptest::prop_assert_eq!(&judge(&one, &other), &found);
        proptest::prop_assert_eq!(judge(&other, &one).score, found.score);
        let of = |patient: &Value| Features::of(patient.as_object().expect("is an object"));
        let keys = super::super::keys(&of(&one));
        proptest::prop_assert!(keys.len() <= 32 && keys.iter().all(|key| key.len() < 300), "{keys:?}");
    }
}
