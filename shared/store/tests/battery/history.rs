//! Promises about the past.

use store::{Ask, Order, Put, Reach, Scope, Test};

use crate::samples::{Home, NOTE, ask, asking, batch, everywhere, found, ids, put, term};

pub(crate) async fn every_version_can_be_read_for_ever(home: Home) {
    for version in 1..=5 {
        home.store.apply(batch([put("a", version)])).await.unwrap();
    }
    for version in 1..=5 {
        let row = home.store.version(NOTE, "a", version).unwrap().unwrap();
        assert_eq!((row.sequence, row.body.as_ref()), (version, format!("a at {version}").as_bytes()));
    }
    assert_eq!(home.store.version(NOTE, "a", 6).unwrap(), None);
    assert_eq!(home.store.version(NOTE, "a", 0).unwrap(), None);
    let versions: Vec<_> = home.store.history(NOTE, "a").unwrap().iter().map(|row| row.version).collect();
    assert_eq!(versions, [5, 4, 3, 2, 1]);
    assert!(home.store.history(NOTE, "b").unwrap().is_empty());
}

pub(crate) async fn a_deleted_record_is_found_no_more_but_read_with_its_mark(home: Home) {
    let facts = vec![term("code", "", "x", Reach::Global)];
    home.store.apply(batch([Put { facts: facts.clone(), ..put("a", 1) }])).await.unwrap();
    home.store.apply(batch([Put { facts, deleted: true, ..put("a", 2) }])).await.unwrap();
    assert!(home.store.get(NOTE, "a").unwrap().unwrap().deleted);
    let code = Test::Term { name: "code", space: None, value: Some("x".into()) };
    for question in [ask(), everywhere([]), everywhere([code.clone()]), everywhere([Test::Id("a".into())])] {
        assert!(found(&home.store, &question).is_empty());
    }
    assert_eq!(found(&home.store, &Ask { as_of: Some(1), ..ask() }), ["a"]);
    home.store.apply(batch([put("a", 3)])).await.expect("a deleted record may come back");
    assert_eq!(found(&home.store, &ask()), ["a"]);
}

pub(crate) async fn a_question_as_of_then_is_answered_as_then(home: Home) {
    let with = |id: &str, version, code: &str, order| Put {
        facts: vec![term("code", "", code, Reach::Global)],
        order,
        ..put(id, version)
    };
    home.store
        .apply(batch([with("a", 1, "old", 1), with("b", 1, "old", 2), with("c", 1, "old", 3)]))
        .await
        .unwrap();
    home.store.apply(batch([with("a", 2, "new", 9)])).await.unwrap();
    home.store.apply(batch([Put { deleted: true, ..with("b", 2, "new", 2) }])).await.unwrap();
    home.store.apply(batch([with("d", 1, "old", 5), with("c", 2, "new", 3)])).await.unwrap();
    let code = |value: &str| Test::Term { name: "code", space: None, value: Some(value.into()) };
    let old = |as_of| Ask { as_of: Some(as_of), total: true, ..asking([code("old")]) };
    for scope in [Scope::Partitions(vec!["p".into()]), Scope::Everywhere] {
        let at = |as_of| Ask { scope: scope.clone(), ..old(as_of) };
        assert_eq!(found(&home.store, &at(1)), ["c", "b", "a"]);
        assert_eq!(found(&home.store, &at(2)), ["c", "b"]);
        assert_eq!(found(&home.store, &at(3)), ["c"]);
        assert_eq!(found(&home.store, &at(4)), ["d"]);
        assert_eq!(home.store.find(&at(1)).unwrap().total, Some(3));
        let one = Ask { limit: 1, ..at(1) };
        let first = home.store.find(&one).unwrap();
        let second = home.store.find(&Ask { after: first.next.clone(), ..one }).unwrap();
        assert_eq!((ids(&first), ids(&second)), (vec!["c"], vec!["b"]));
    }
}

pub(crate) async fn pages_are_stable_while_others_write(home: Home) {
    let dated = |number: i64, version| Put { order: number, ..put(&format!("n{number:03}"), version) };
    home.store.apply(batch((0..60).map(|number| dated(number, 1)))).await.unwrap();
    for order in [Order::Natural, Order::Written { descending: false }] {
        let mut question = Ask { limit: 7, order: order.clone(), ..ask() };
        let mut seen = Vec::new();
        let mut version = home.store.get(NOTE, "n010").unwrap().unwrap().version;
        loop {
            let page = home.store.find(&question).unwrap();
            seen.extend(page.rows.iter().map(|row| row.id.clone()));
            version += 1;
            let other = 100 + i64::try_from(home.store.sequence()).unwrap();
            let moved = Put { order: other, ..dated(10, version) };
            home.store.apply(batch([dated(other, 1), moved])).await.unwrap();
            let Some(next) = page.next else { break };
            question = Ask { after: Some(next), as_of: Some(page.as_of), ..question };
        }
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len(), "no row comes twice");
        assert!((0..60).all(|number| distinct.contains(&format!("n{number:03}"))), "no row is left out");
    }
}

pub(crate) async fn a_record_that_moved_is_found_where_it_was(home: Home) {
    home.store.apply(batch([put("a", 1), put("b", 1)])).await.unwrap();
    home.store.apply(batch([Put { partition: "q".into(), ..put("a", 2) }])).await.unwrap();
    let scope = |name: &str| Scope::Partitions(vec![name.to_owned()]);
    assert_eq!(found(&home.store, &ask()), ["b"]);
    assert_eq!(found(&home.store, &Ask { scope: scope("q"), ..ask() }), ["a"]);
    assert_eq!(found(&home.store, &Ask { as_of: Some(1), ..ask() }), ["a", "b"]);
    assert!(found(&home.store, &Ask { scope: scope("q"), as_of: Some(1), ..ask() }).is_empty());
}
