//! Questions across partitions that leave many records: they are counted without reading them, and say what a plain look at
//! every record would say, whatever is written meanwhile.

use std::collections::BTreeMap;

use store::{AnyOf, Ask, Fact, Order, OrderKey, Put, Reach, Scope, Span, Test};

use crate::samples::{Home, ask, batch, edge, found, put, term, text};

/// Numbers that look drawn, the same at every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

const NAMES: &[&str] = &["Meier", "Maier", "meier", "Meyer", "Abt", "Ab\0t", "Ab\u{1}t", "Zu", "Zuber", ""];

fn person(id: &str, version: u64, dice: &mut Dice) -> Put {
    let mut facts = vec![term("sex", "", if dice.below(2) == 0 { "f" } else { "m" }, Reach::Global)];
    for _ in 0..dice.below(3) {
        facts.push(text("name", NAMES[dice.below(NAMES.len() as u64) as usize], Reach::Global));
    }
    if dice.below(4) > 0 {
        let day = dice.below(9) as i64 - 4;
        facts.push(Fact::Instant { name: "born", from: day, to: day + 1, reach: Reach::Global });
    }
    facts.push(term(
        "town",
        &format!("s{}", dice.below(2)),
        &format!("t{}", dice.below(5)),
        Reach::Partition,
    ));
    Put {
        partition: format!("of {id}"),
        order: dice.below(3) as i64,
        edges: vec![edge("of", &format!("e{}", dice.below(2)))],
        facts,
        ..put(id, version)
    }
}

fn holds(put: &Put, test: &Test) -> bool {
    put.facts.iter().any(|fact| match (test, fact) {
        (
            Test::Term { name, space, value },
            Fact::Term { name: own, space: own_space, value: own_value, .. },
        ) => {
            name == own
                && space.as_ref().is_none_or(|space| space == own_space)
                && value.as_ref().is_none_or(|value| value == own_value)
        }
        (Test::Prefix { name, folded }, Fact::Text { name: own, folded: text, .. }) => {
            name == own && text.starts_with(folded.as_str())
        }
        (Test::Contains { name, folded }, Fact::Text { name: own, folded: text, .. }) => {
            name == own && text.contains(folded.as_str())
        }
        (Test::Exact { name, exact }, Fact::Text { name: own, exact: text, .. }) => {
            name == own && text == exact
        }
        (
            Test::Instant { name, span: Span::BeginsFrom(from) },
            Fact::Instant { name: own, from: begin, .. },
        ) => name == own && begin >= from,
        (
            Test::Instant { name, span: Span::Within { from, to } },
            Fact::Instant { name: own, from: begin, to: end, .. },
        ) => name == own && begin >= from && end <= to,
        (
            Test::Present { name },
            Fact::Text { name: own, .. } | Fact::Term { name: own, .. } | Fact::Instant { name: own, .. },
        ) => name == own,
        _ => false,
    }) || matches!(test, Test::Edge { name, target } if put.edges.iter().any(|edge| edge.name == *name && edge.target == *target))
}

fn a_test(dice: &mut Dice) -> Test {
    let folded = |dice: &mut Dice| {
        ["m", "mei", "a", "ab", "z", "zuber", "", "x", "ab\0"][dice.below(9) as usize].to_owned()
    };
    match dice.below(11) {
        0 | 1 => Test::Term { name: "sex", space: None, value: Some("f".into()) },
        2 => Test::Term { name: "sex", space: Some(String::new()), value: None },
        3 | 4 => Test::Prefix { name: "name", folded: folded(dice) },
        5 => {
            Test::Contains { name: "name", folded: ["e", "t", "\u{1}", "ub"][dice.below(4) as usize].into() }
        }
        6 => Test::Exact { name: "name", exact: NAMES[dice.below(NAMES.len() as u64) as usize].into() },
        7 => Test::Instant { name: "born", span: Span::BeginsFrom(dice.below(9) as i64 - 4) },
        8 => Test::Instant { name: "born", span: Span::Within { from: -1, to: dice.below(5) as i64 } },
        9 => Test::Present { name: ["name", "born", "nothing"][dice.below(3) as usize] },
        _ => match dice.below(2) {
            0 => Test::Edge { name: "of", target: "e1".into() },
            // Of less reach: only the rows can tell.
            _ => Test::Term { name: "town", space: Some("s1".into()), value: Some("t1".into()) },
        },
    }
}

fn an_order(dice: &mut Dice) -> Order {
    let descending = dice.below(2) == 0;
    match dice.below(8) {
        7 => Order::Keys(vec![OrderKey::Id { descending }]),
        0 | 1 => Order::Natural,
        2 => Order::By { name: "name", descending },
        3 => Order::By { name: "born", descending },
        4 => Order::By { name: "sex", descending },
        5 => Order::Written { descending },
        _ => Order::Keys(vec![
            OrderKey::Fact { name: "name", descending },
            OrderKey::Written { descending: dice.below(2) == 0 },
        ]),
    }
}

/// What sorts as an answer is to be sorted; numbers of missing values come last.
fn place(put: &Put, written: u64, order: &Order) -> Vec<u8> {
    let turned = |mut bytes: Vec<u8>, descending: bool| {
        if descending {
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
        bytes
    };
    let by_fact = |name: &str, descending: bool| {
        let keys = put.facts.iter().filter_map(|fact| match fact {
            Fact::Text { name: own, folded, exact, .. } if *own == name => {
                // Each letter is two bytes, and the end is less than any letter.
                let spread =
                    |text: &str| text.bytes().flat_map(|byte| [1, byte]).chain([0]).collect::<Vec<u8>>();
                Some([spread(folded), spread(exact)].concat())
            }
            Fact::Term { name: own, value, .. } if *own == name => Some(value.bytes().chain([0]).collect()),
            Fact::Instant { name: own, from, .. } if *own == name => {
                Some((from + 100).to_be_bytes().to_vec())
            }
            _ => None,
        });
        let first = keys.map(|key| turned(key, descending)).min();
        first.map_or(vec![1], |key| [vec![0], key].concat())
    };
    let by_written = |descending: bool| turned(written.to_be_bytes().to_vec(), descending);
    match order {
        Order::Natural => turned((put.order + 100).to_be_bytes().to_vec(), true),
        Order::By { name, descending } => by_fact(name, *descending),
        Order::Written { descending } => by_written(*descending),
        Order::Keys(keys) => keys
            .iter()
            .flat_map(|key| match key {
                OrderKey::Fact { name, descending } => by_fact(name, *descending),
                OrderKey::Written { descending } => by_written(*descending),
                OrderKey::Id { descending } => turned(put.id.bytes().chain([0]).collect(), *descending),
            })
            .collect(),
    }
}

type Standing = BTreeMap<String, (Put, u64)>;

fn expected(standing: &Standing, ask: &Ask) -> Vec<String> {
    let fits =
        |put: &Put| ask.all.iter().all(|any| any.tests.iter().any(|test| holds(put, test)) != any.negated);
    let mut matching: Vec<(Vec<u8>, &String)> = standing
        .iter()
        .filter(|(_, (put, _))| !put.deleted && fits(put))
        .map(|(id, (put, written))| (place(put, *written, &ask.order), id))
        .collect();
    matching.sort();
    matching.into_iter().map(|(_, id)| id.clone()).collect()
}

/// Commits some changes: new records, new versions, deletions.
async fn change(home: &Home, standing: &mut Standing, dice: &mut Dice, puts: u64) {
    let mut changes = BTreeMap::new();
    for _ in 0..puts {
        let number = dice.below(900);
        let id = format!("{:x}-person", number * number);
        let version = standing.get(&id).map_or(1, |(put, _)| put.version + 1);
        let mut change = person(&id, version, dice);
        change.deleted = version > 1 && dice.below(5) == 0;
        changes.insert(id, change);
    }
    let instant = 1_000 + standing.values().map(|(_, written)| *written).max().unwrap_or(0);
    let mut commit = batch(changes.values().cloned());
    commit.instant = instant as i64;
    home.store.apply(commit).await.unwrap();
    standing.extend(changes.into_iter().map(|(id, put)| (id, (put, instant))));
}

pub(crate) async fn what_is_counted_is_what_every_record_says(home: Home) {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut standing = Standing::new();
    change(&home, &mut standing, &mut dice, 700).await;
    for _ in 0..120 {
        change(&home, &mut standing, &mut dice, 3).await;
        let mut all = Vec::new();
        for _ in 0..dice.below(3) {
            let tests = (0..=dice.below(2)).map(|_| a_test(&mut dice)).collect();
            all.push(AnyOf { tests, negated: dice.below(4) == 0 });
        }
        let limit = [0, 1, 7, 40, 1_000][dice.below(5) as usize];
        let mut question =
            Ask { all, order: an_order(&mut dice), limit, total: true, scope: Scope::Everywhere, ..ask() };
        let expected = expected(&standing, &question);
        let first = home.store.find(&question).unwrap();
        assert_eq!(first.total, Some(expected.len() as u64), "{question:?}");
        question.as_of = Some(first.as_of);
        let mut paged: Vec<String> = first.rows.iter().map(|row| row.id.clone()).collect();
        let mut next = first.next;
        // Other pages come while others write, and say what stood when the first was read.
        for _ in 0..3 {
            let Some(after) = next.take() else { break };
            change(&home, &mut standing, &mut dice, 5).await;
            let page = home.store.find(&Ask { after: Some(after), ..question.clone() }).unwrap();
            assert_eq!(page.total, Some(expected.len() as u64), "{question:?}");
            paged.extend(page.rows.iter().map(|row| row.id.clone()));
            next = page.next;
        }
        let end = if next.is_some() || limit == 0 { paged.len() } else { expected.len() };
        assert_eq!(paged, expected[..end], "{question:?}");
    }
}

pub(crate) async fn a_total_is_told_without_reading_what_is_counted(home: Home) {
    let mut dice = Dice(7);
    let mut standing = Standing::new();
    change(&home, &mut standing, &mut dice, 3_000).await;
    for (test, order) in [
        (Test::Term { name: "sex", space: None, value: Some("f".into()) }, Order::Natural),
        (Test::Prefix { name: "name", folded: "m".into() }, Order::Natural),
        (Test::Written(Span::BeginsFrom(0)), Order::Written { descending: true }),
        (Test::Instant { name: "born", span: Span::BeginsFrom(-4) }, Order::Natural),
    ] {
        let all = vec![AnyOf { tests: vec![test], negated: false }];
        let question = Ask { all, order, limit: 10, total: true, scope: Scope::Everywhere, ..ask() };
        let page = home.store.find(&question).unwrap();
        assert!(page.total.unwrap() > 200, "many match {question:?}");
        assert_eq!(page.rows.len(), 10);
        assert!(page.scanned <= 11, "{} rows were looked at for {question:?}", page.scanned);
    }
    let everybody =
        home.store.find(&Ask { limit: 10, total: true, scope: Scope::Everywhere, ..ask() }).unwrap();
    assert_eq!(everybody.total, Some(standing.len() as u64));
    assert_eq!(everybody.scanned, 11);
}

pub(crate) async fn many_alike_are_paged_in_order(home: Home) {
    let alike = |number: u64| Put {
        facts: vec![text("name", "Alike", Reach::Global), term("sex", "", "f", Reach::Global)],
        ..put(&format!("a long id that begins like all others {number:04}"), 1)
    };
    home.store.apply(batch((0..500).map(alike))).await.unwrap();
    for order in [
        Order::Natural,
        Order::Written { descending: true },
        Order::By { name: "name", descending: true },
        Order::By { name: "nothing", descending: false },
        Order::Keys(vec![OrderKey::Written { descending: false }]),
        Order::Keys(vec![OrderKey::Id { descending: false }]),
    ] {
        let tests = vec![Test::Prefix { name: "name", folded: "al".into() }];
        let all = vec![AnyOf { tests, negated: false }];
        let mut question = Ask { all, order, scope: Scope::Everywhere, limit: 1_000, ..ask() };
        let whole = found(&home.store, &question);
        assert!(whole.is_sorted() && whole.len() == 500);
        question.limit = 90;
        let mut paged = Vec::new();
        loop {
            let page = home.store.find(&question).unwrap();
            paged.extend(page.rows.iter().map(|row| row.id.clone()));
            question.after = page.next;
            if question.after.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole, "{:?}", question.order);
    }
    let order = Order::Keys(vec![OrderKey::Id { descending: true }]);
    let downwards = found(&home.store, &Ask { order, scope: Scope::Everywhere, limit: 1_000, ..ask() });
    assert!(downwards.iter().rev().is_sorted() && downwards.len() == 500);
}
