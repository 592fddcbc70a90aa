//! Promises about questions.

use store::{AnyOf, Ask, Cursor, Error, Fact, Order, Put, Reach, Scope, Span, Test};

use crate::samples::{Home, NOTE, ask, asking, batch, edge, everywhere, found, ids, put, term, text};

fn code(space: Option<&str>, value: Option<&str>) -> Test {
    Test::Term { name: "code", space: space.map(Into::into), value: value.map(Into::into) }
}

fn with(id: &str, facts: Vec<Fact>) -> Put {
    Put { facts, ..put(id, 1) }
}

pub(crate) async fn terms_match_with_and_without_name_space(home: Home) {
    for reach in [Reach::Partition, Reach::Global] {
        let id = |id: &str| format!("{id}{reach:?}");
        home.store
            .apply(batch([
                with(&id("a"), vec![term("code", "s", "x", reach), term("other", "s", "y", reach)]),
                with(&id("b"), vec![term("code", "", "x", reach)]),
                with(&id("c"), vec![term("code", "t", "z", reach)]),
            ]))
            .await
            .unwrap();
    }
    let cases: [(Test, &[&str]); 6] = [
        (code(Some("s"), Some("x")), &["a"]),
        (code(None, Some("x")), &["a", "b"]),
        (code(Some(""), Some("x")), &["b"]),
        (code(Some("t"), None), &["c"]),
        (code(None, None), &["a", "b", "c"]),
        (code(None, Some("y")), &[]),
    ];
    for (test, expected) in cases {
        let both: Vec<String> =
            expected.iter().flat_map(|id| [format!("{id}Global"), format!("{id}Partition")]).collect();
        assert_eq!(found(&home.store, &asking([test.clone()])), both, "{test:?}");
        assert_eq!(found(&home.store, &everywhere([test.clone()])), both, "everywhere {test:?}");
    }
}

pub(crate) async fn stretches_of_time_compare(home: Home) {
    let stretch =
        |id: &str, from, to| with(id, vec![Fact::Instant { name: "when", from, to, reach: Reach::Global }]);
    home.store
        .apply(batch([
            stretch("a", 10, 20),
            stretch("b", 20, 30),
            stretch("c", i64::MIN, 15),
            stretch("d", 25, i64::MAX),
        ]))
        .await
        .unwrap();
    let cases: [(Span, &[&str]); 7] = [
        (Span::Within { from: 10, to: 30 }, &["a", "b"]),
        (Span::Overlaps { from: 14, to: 20 }, &["a", "c"]),
        (Span::Overlaps { from: 20, to: 21 }, &["b"]),
        (Span::BeginsBefore(20), &["a", "c"]),
        (Span::BeginsFrom(20), &["b", "d"]),
        (Span::EndsBy(20), &["a", "c"]),
        (Span::EndsAfter(20), &["b", "d"]),
    ];
    for (span, expected) in cases {
        let test = Test::Instant { name: "when", span };
        assert_eq!(found(&home.store, &asking([test.clone()])), expected, "{span:?}");
        assert_eq!(found(&home.store, &everywhere([test])), expected, "everywhere {span:?}");
    }
    home.store.apply(store::Batch { instant: 100, ..batch([put("late", 1)]) }).await.unwrap();
    let written = Test::Written(Span::BeginsFrom(100));
    assert_eq!(found(&home.store, &asking([written.clone()])), ["late"]);
    assert_eq!(found(&home.store, &everywhere([written])), ["late"]);
}

pub(crate) async fn texts_match_by_beginning_part_and_whole(home: Home) {
    let name = |id: &str, exact: &str| with(id, vec![text("family", exact, Reach::Global)]);
    home.store.apply(batch([name("a", "Meyer"), name("b", "MEYERS"), name("c", "Obermeyer")])).await.unwrap();
    let prefix = Test::Prefix { name: "family", folded: "meyer".into() };
    let contains = Test::Contains { name: "family", folded: "meyer".into() };
    let exact = Test::Exact { name: "family", exact: "Meyer".into() };
    let none = Test::Exact { name: "family", exact: "meyer".into() };
    let cases: [(Test, &[&str]); 4] =
        [(prefix, &["a", "b"]), (contains, &["a", "b", "c"]), (exact, &["a"]), (none, &[])];
    for (test, expected) in cases {
        assert_eq!(found(&home.store, &asking([test.clone()])), expected, "{test:?}");
        assert_eq!(found(&home.store, &everywhere([test.clone()])), expected, "everywhere {test:?}");
    }
}

pub(crate) async fn conditions_can_be_turned_round(home: Home) {
    let facts = |value: &str| vec![term("code", "", value, Reach::Global)];
    home.store
        .apply(batch([with("a", facts("x")), with("b", facts("y")), with("c", facts("z"))]))
        .await
        .unwrap();
    let any = |negated| AnyOf { tests: vec![code(None, Some("x")), code(None, Some("y"))], negated };
    for scope in [Scope::Everywhere, Scope::Partitions(vec!["p".into()])] {
        let question = |all| Ask { all, scope: scope.clone(), ..ask() };
        assert_eq!(found(&home.store, &question(vec![any(false)])), ["a", "b"]);
        assert_eq!(found(&home.store, &question(vec![any(true)])), ["c"]);
        assert!(found(&home.store, &question(vec![any(false), any(true)])).is_empty());
    }
}

pub(crate) async fn edges_are_followed_both_ways(home: Home) {
    let pointing =
        |id: &str, version, target: &str| Put { edges: vec![edge("replaces", target)], ..put(id, version) };
    home.store
        .apply(batch([pointing("b", 1, "a"), pointing("c", 1, "a"), pointing("d", 1, "b")]))
        .await
        .unwrap();
    assert_eq!(home.store.sources(NOTE, "replaces", "a").unwrap(), ["b", "c"]);
    assert!(home.store.sources(NOTE, "appends", "a").unwrap().is_empty());
    let test = Test::Edge { name: "replaces", target: "b".into() };
    assert_eq!(found(&home.store, &asking([test.clone()])), ["d"]);
    assert_eq!(found(&home.store, &everywhere([test])), ["d"]);
    home.store.apply(batch([pointing("c", 2, "d")])).await.unwrap();
    assert_eq!(home.store.sources(NOTE, "replaces", "a").unwrap(), ["b"]);
}

pub(crate) async fn ids_and_presence_are_tested(home: Home) {
    home.store.apply(batch([with("a", vec![text("title", "T", Reach::Global)]), put("b", 1)])).await.unwrap();
    for question in [asking, |tests: [Test; 1]| everywhere(tests)] {
        assert_eq!(found(&home.store, &question([Test::Id("b".into())])), ["b"]);
        assert_eq!(found(&home.store, &question([Test::Present { name: "title" }])), ["a"]);
        assert!(found(&home.store, &question([Test::Present { name: "other" }])).is_empty());
    }
}

pub(crate) async fn records_are_found_everywhere_by_facts_of_global_reach(home: Home) {
    let patient = |number: usize| Put {
        partition: format!("p{}", number % 7),
        facts: vec![term("code", "s", &format!("v{}", number % 10), Reach::Global)],
        ..put(&format!("n{number:03}"), 1)
    };
    home.store.apply(batch((0..200).map(patient))).await.unwrap();
    let page = home.store.find(&Ask { total: true, ..everywhere([code(Some("s"), Some("v3"))]) }).unwrap();
    assert_eq!((page.total, page.rows.len()), (Some(20), 20));
    assert!(page.scanned <= 20, "only the rows under the index are looked at, not {}", page.scanned);
    let narrow = Ask { scope: Scope::Partitions(vec!["p3".into()]), ..asking([code(Some("s"), Some("v3"))]) };
    assert_eq!(found(&home.store, &narrow), ["n003", "n073", "n143"]);
}

pub(crate) async fn facts_of_mixed_reach_are_all_found_everywhere(home: Home) {
    let fact = |reach| vec![term("code", "", "x", reach)];
    home.store
        .apply(batch([with("a", fact(Reach::Global)), with("b", fact(Reach::Partition))]))
        .await
        .unwrap();
    assert_eq!(found(&home.store, &everywhere([code(None, Some("x"))])), ["a", "b"]);
}

pub(crate) async fn the_natural_order_is_largest_first_then_id(home: Home) {
    let ordered = |id: &str, order| Put { order, ..put(id, 1) };
    home.store
        .apply(batch([
            ordered("a", -5),
            ordered("b", i64::MAX),
            ordered("c", 0),
            ordered("d", 0),
            ordered("e", i64::MIN),
        ]))
        .await
        .unwrap();
    assert_eq!(found(&home.store, &ask()), ["b", "c", "d", "a", "e"]);
    assert_eq!(found(&home.store, &everywhere([])), ["b", "c", "d", "a", "e"]);
}

pub(crate) async fn other_orders_put_missing_values_last(home: Home) {
    let title = |id: &str, title: &str| with(id, vec![text("title", title, Reach::Partition)]);
    home.store
        .apply(batch([title("a", "m"), title("b", "z"), put("c", 1), title("d", "ma"), title("e", "m")]))
        .await
        .unwrap();
    let by = |descending| Ask { order: Order::By { name: "title", descending }, ..ask() };
    assert_eq!(found(&home.store, &by(false)), ["a", "e", "d", "b", "c"]);
    assert_eq!(found(&home.store, &by(true)), ["b", "d", "a", "e", "c"]);
    home.store.apply(store::Batch { instant: 9, ..batch([put("a", 2)]) }).await.unwrap();
    let written = |descending| Ask { order: Order::Written { descending }, limit: 1, ..ask() };
    assert_eq!(found(&home.store, &written(true)), ["a"]);
    assert_eq!(found(&home.store, &written(false)), ["b"]);
}

pub(crate) async fn pages_follow_each_other_without_gap_or_repetition(home: Home) {
    let dated = |number: i64| Put {
        order: number / 3,
        facts: vec![
            Fact::Instant { name: "when", from: number % 5, to: number % 5 + 1, reach: Reach::Partition },
            text("title", &format!("t{}", number % 4), Reach::Partition),
        ],
        ..put(&format!("n{number:02}"), 1)
    };
    home.store.apply(batch((0..40).map(dated))).await.unwrap();
    let orders = [
        Order::Natural,
        Order::By { name: "when", descending: true },
        Order::By { name: "title", descending: false },
        Order::Written { descending: true },
    ];
    for order in orders {
        for scope in [Scope::Everywhere, Scope::Partitions(vec!["p".into()])] {
            let question = Ask { order: order.clone(), scope, ..ask() };
            let all = found(&home.store, &question);
            for limit in [1, 3, 8, 40] {
                let mut question = Ask { limit, ..question.clone() };
                let mut paged = Vec::new();
                loop {
                    let page = home.store.find(&question).unwrap();
                    assert!(page.rows.len() <= limit && !page.rows.is_empty());
                    paged.extend(page.rows.iter().map(|row| row.id.clone()));
                    let Some(next) = page.next else { break };
                    question.after = Some(next);
                }
                assert_eq!(paged, all, "{order:?} by {limit}");
            }
        }
    }
}

pub(crate) async fn the_total_counts_all_matches_on_every_page(home: Home) {
    home.store.apply(batch((0..30).map(|number| put(&format!("n{number:02}"), 1)))).await.unwrap();
    let first = home.store.find(&Ask { limit: 10, total: true, ..ask() }).unwrap();
    let second =
        home.store.find(&Ask { limit: 10, total: true, after: first.next.clone(), ..ask() }).unwrap();
    assert_eq!((first.total, second.total), (Some(30), Some(30)));
    assert_eq!(ids(&second)[0], "n10");
    let count = home.store.find(&Ask { limit: 0, total: true, ..ask() }).unwrap();
    assert_eq!((count.rows.len(), count.total, count.next), (0, Some(30), None));
    assert_eq!(
        home.store.find(&Ask { limit: 30, ..ask() }).unwrap().next,
        None,
        "the last page is exactly full"
    );
}

pub(crate) async fn several_partitions_are_merged_in_order(home: Home) {
    let of = |id: &str, partition: &str, order| Put { partition: partition.into(), order, ..put(id, 1) };
    home.store
        .apply(batch([of("a", "p", 1), of("b", "q", 2), of("c", "p", 3), of("d", "q", 4), of("e", "r", 5)]))
        .await
        .unwrap();
    let scope = Scope::Partitions(vec!["q".into(), "p".into(), "q".into()]);
    let question = Ask { scope, limit: 3, total: true, ..ask() };
    let page = home.store.find(&question).unwrap();
    assert_eq!((ids(&page), page.total), (vec!["d", "c", "b"], Some(4)));
    assert_eq!(found(&home.store, &Ask { after: page.next, ..question }), ["a"]);
}

pub(crate) async fn a_foreign_cursor_is_refused(home: Home) {
    home.store.apply(batch([put("a", 1), put("b", 1)])).await.unwrap();
    let next = home.store.find(&Ask { limit: 1, ..ask() }).unwrap().next;
    let other = Ask { order: Order::Written { descending: true }, after: next, ..ask() };
    assert!(matches!(home.store.find(&other), Err(Error::BadCursor)));
    let rubbish = Ask { after: Some(Cursor(b"rubbish".to_vec())), ..ask() };
    assert!(matches!(home.store.find(&rubbish), Err(Error::BadCursor)));
}

pub(crate) async fn what_changed_is_found_by_its_new_facts_only(home: Home) {
    let facts =
        |value: &str| vec![term("code", "", value, Reach::Global), text("title", value, Reach::Global)];
    home.store.apply(batch([with("a", facts("old"))])).await.unwrap();
    home.store.apply(batch([Put { version: 2, ..with("a", facts("new")) }])).await.unwrap();
    for (value, expected) in [("old", &[][..]), ("new", &["a"])] {
        let exact = Test::Exact { name: "title", exact: value.into() };
        for question in
            [everywhere([code(None, Some(value))]), everywhere([exact]), asking([code(None, Some(value))])]
        {
            assert_eq!(found(&home.store, &question), expected, "{value}");
        }
    }
}

pub(crate) async fn names_with_odd_characters_do_not_mix(home: Home) {
    let odd = ["p", "p\0", "p\0\u{1}", "\u{1}p", "", "pp"];
    let of = |(number, partition): (usize, &&str)| Put {
        partition: (*partition).to_owned(),
        facts: vec![term("code", partition, &format!("{partition}\0"), Reach::Global)],
        ..put(&format!("n{number}"), 1)
    };
    home.store.apply(batch(odd.iter().enumerate().map(of))).await.unwrap();
    for (number, partition) in odd.iter().enumerate() {
        let id = format!("n{number}");
        let scope = Scope::Partitions(vec![(*partition).to_owned()]);
        assert_eq!(found(&home.store, &Ask { scope, ..ask() }), std::slice::from_ref(&id));
        let value = format!("{partition}\0");
        assert_eq!(found(&home.store, &everywhere([code(Some(partition), Some(&value))])), [id]);
    }
}

/// Whatever is kept in memory of a partition that is asked about again and again, answers are those of the index: now, of
/// the past, and after every change.
pub(crate) async fn what_is_asked_again_and_again_is_answered_from_what_stands(home: Home) {
    let made = |number: usize, value: &str| Put {
        order: number as i64,
        facts: vec![
            term("code", if number.is_multiple_of(2) { "s" } else { "" }, value, Reach::Partition),
            Fact::Instant {
                name: "when",
                from: number as i64,
                to: number as i64 + 1,
                reach: Reach::Partition,
            },
        ],
        edges: vec![edge("points", &format!("t{}", number % 10)), edge("other", "elsewhere")],
        ..put(&format!("n{number:03}"), 1)
    };
    home.store.apply(batch((0..100).map(|number| made(number, "a")))).await.unwrap();
    for _ in 0..3 {
        let third = Test::Instant { name: "when", span: store::Span::Within { from: 3, to: 5 } };
        let targets = home.store.targets(&asking([third]), &["points", "nowhere"]).unwrap();
        let mut targets: Vec<String> = targets.into_iter().collect();
        targets.sort();
        assert_eq!(targets, ["t3", "t4"]);
        let among = Test::Among(std::sync::Arc::new((0..90).map(|n| format!("n{n:03}")).collect()));
        assert_eq!(
            home.store.find(&Ask { limit: 0, total: true, ..asking([among]) }).unwrap().total,
            Some(90)
        );
    }
    let value = |value: &str| Test::Term { name: "code", space: None, value: Some(value.into()) };
    let early = || Test::Instant { name: "when", span: store::Span::BeginsBefore(50) };
    let question = |tests: Vec<Test>| {
        let all = tests.into_iter().map(|test| AnyOf { tests: vec![test], negated: false }).collect();
        Ask { all, limit: 7, total: true, ..ask() }
    };
    let first = question(vec![value("a"), early()]);
    let answers: Vec<_> = (0..4).map(|_| home.store.find(&first).unwrap()).collect();
    for page in &answers {
        assert_eq!((ids(page)[0], page.total, page.scanned), ("n049", Some(50), 100));
    }
    let then = answers[0].as_of;
    for round in 0..3u64 {
        let changed = Put { version: round + 2, ..made(49, "b") };
        home.store.apply(batch([changed, made(200 + round as usize, "a")])).await.unwrap();
        for _ in 0..3 {
            assert_eq!(home.store.find(&first).unwrap().total, Some(49), "n049 is another thing now");
            let past = Ask { as_of: Some(then), ..first.clone() };
            assert_eq!(ids(&home.store.find(&past).unwrap()), ids(&answers[0]), "and was that then");
            let all = home.store.find(&question(vec![value("a")])).unwrap();
            assert_eq!(all.total, Some(99 + round + 1));
        }
        let next = Ask { after: answers[0].next.clone(), as_of: Some(then), ..first.clone() };
        assert_eq!(ids(&home.store.find(&next).unwrap())[0], "n042");
    }
    let gone = Put { deleted: true, version: 2, ..put("n048", 1) };
    home.store.apply(batch([gone])).await.unwrap();
    for _ in 0..3 {
        assert_eq!(ids(&home.store.find(&first).unwrap())[0], "n047");
    }
}

pub(crate) async fn partitions_are_told_in_order_without_what_has_left(home: Home) {
    let at = |id: &str, partition: &str| store::Put { partition: partition.into(), ..put(id, 1) };
    let puts = [at("a", "north"), at("b", "east\0"), at("c", "east"), at("d", "north"), at("e", "")];
    home.store.apply(batch(puts)).await.unwrap();
    let partitions = |after: &str, limit| home.store.partitions(NOTE, after, limit).unwrap();
    assert_eq!(partitions("", 10), ["", "east", "east\0", "north"]);
    assert_eq!(partitions("", 2), ["", "east"]);
    assert_eq!(partitions("east", 10), ["east\0", "north"]);
    assert_eq!(partitions("north", 10), Vec::<String>::new());
    let moved = store::Put { partition: "west".into(), ..put("c", 2) };
    let removed = store::Put { deleted: true, partition: String::new(), ..put("e", 2) };
    home.store.apply(batch([moved, removed])).await.unwrap();
    assert_eq!(partitions("", 10), ["east\0", "north", "west"]);
}
