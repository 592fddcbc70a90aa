//! Promises about commits.

use bytes::Bytes;
use store::{Batch, Claim, Error, Lost, Outgoing};

use crate::samples::{Home, NOTE, ask, batch, found, put};

pub(crate) async fn a_batch_is_visible_wholly_when_it_is_answered(home: Home) {
    let applied = home.store.apply(batch([put("a", 1), put("b", 1)])).await.unwrap();
    assert_eq!((applied.sequence, home.store.sequence()), (1, 1));
    assert_eq!(found(&home.store, &ask()), ["a", "b"]);
    let row = home.store.get(NOTE, "a").unwrap().unwrap();
    assert_eq!((row.version, row.sequence, row.body.as_ref()), (1, 1, b"a at 1".as_slice()));
}

pub(crate) async fn a_lost_version_leaves_nothing_behind(home: Home) {
    home.store.apply(batch([put("a", 1)])).await.unwrap();
    let lost = home.store.apply(batch([put("b", 1), put("a", 1)])).await.unwrap_err();
    let expected = Lost::Version { kind: NOTE, id: "a".into(), expected: 0, current: 1 };
    assert!(matches!(lost, Error::Lost(found) if found == expected));
    assert_eq!(home.store.get(NOTE, "b").unwrap(), None);
    assert_eq!(home.store.sequence(), 1);
    home.store
        .apply(batch([put("a", 2), put("a", 3)]))
        .await
        .expect("versions may follow each other in a batch");
}

pub(crate) async fn of_two_who_build_on_the_same_version_one_loses(home: Home) {
    home.store.apply(batch([put("a", 1)])).await.unwrap();
    for version in 2..30 {
        let tries = (0..4).map(|_| home.store.apply(batch([put("a", version)])));
        let outcomes = futures_util::future::join_all(tries).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    }
}

fn claim(name: &str, value: &str) -> Batch {
    Batch { claims: vec![Claim { name: name.into(), value: value.into() }], ..Batch::default() }
}

pub(crate) async fn a_claim_holds_for_its_value_and_against_others(home: Home) {
    home.store.apply(claim("key", "mine")).await.unwrap();
    home.store.apply(claim("key", "mine")).await.expect("the same value may claim again");
    let lost = home.store.apply(claim("key", "yours")).await.unwrap_err();
    assert!(matches!(lost, Error::Lost(Lost::Claim { name, holder }) if name == "key" && holder == b"mine"));
    assert_eq!(home.store.claimed("key").unwrap().as_deref(), Some(b"mine".as_slice()));
    let twice =
        Batch { claims: [claim("new", "1").claims, claim("new", "2").claims].concat(), ..Batch::default() };
    home.store.apply(twice).await.expect_err("one batch cannot claim a name for two values");
    assert_eq!(home.store.claimed("new").unwrap(), None);
}

pub(crate) async fn a_released_name_can_be_claimed_in_the_same_batch(home: Home) {
    home.store.apply(claim("key", "old")).await.unwrap();
    home.store.apply(Batch { releases: vec!["key".into()], ..claim("key", "new") }).await.unwrap();
    assert_eq!(home.store.claimed("key").unwrap().as_deref(), Some(b"new".as_slice()));
    home.store.apply(Batch { releases: vec!["key".into()], ..Batch::default() }).await.unwrap();
    assert_eq!(home.store.claimed("key").unwrap(), None);
}

pub(crate) async fn a_failed_commit_leaves_its_neighbours_alone(home: Home) {
    home.store.apply(batch([put("taken", 1)])).await.unwrap();
    let names: Vec<String> = (0..40).map(|number| format!("n{number:02}")).collect();
    let commits = names.iter().enumerate().map(|(index, name)| {
        let extra = (index % 3 == 0).then(|| put("taken", 1));
        home.store.apply(batch([put(name, 1)].into_iter().chain(extra)))
    });
    let outcomes = futures_util::future::join_all(commits).await;
    for (index, (name, outcome)) in names.iter().zip(outcomes).enumerate() {
        assert_eq!(outcome.is_ok(), index % 3 != 0, "{name}");
        assert_eq!(home.store.get(NOTE, name).unwrap().is_some(), index % 3 != 0, "{name}");
    }
}

pub(crate) async fn instants_never_go_back(home: Home) {
    let at = |instant, id: &str| Batch { instant, ..batch([put(id, 1)]) };
    assert_eq!(home.store.apply(at(50, "a")).await.unwrap().instant, 50);
    assert_eq!(home.store.apply(at(20, "b")).await.unwrap().instant, 50);
    assert_eq!(home.store.get(NOTE, "b").unwrap().unwrap().instant, 50);
    assert_eq!(home.store.last_instant(), 50);
}

pub(crate) async fn messages_wait_in_order_until_they_are_delivered(home: Home) {
    let message = |peer: &str, payload: &str| Outgoing {
        peer: peer.into(),
        stream: "s".into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    };
    let outgoing = |messages: Vec<Outgoing>| Batch { outgoing: messages, instant: 7, ..Batch::default() };
    home.store
        .apply(outgoing(vec![message("east", "1"), message("west", "x"), message("east", "2")]))
        .await
        .unwrap();
    home.store.apply(outgoing(vec![message("east", "3")])).await.unwrap();
    let payloads = |limit| {
        let pending = home.store.pending("east", limit).unwrap();
        pending.iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(payloads(10), ["1", "2", "3"]);
    assert_eq!(payloads(1), ["1"]);
    let first = home.store.pending("east", 1).unwrap().remove(0);
    assert_eq!((first.instant, first.stream.as_str(), first.peer.as_str()), (7, "s", "east"));
    let waiting = home.store.backlog("east").unwrap();
    assert_eq!((waiting.messages, waiting.oldest), (3, Some(7)));
    let behind = home.store.pending_behind("east", Some((first.sequence, first.position)), 1).unwrap();
    assert_eq!(behind[0].payload, "2");
    let second = (behind[0].sequence, behind[0].position);
    let behind = home.store.pending_behind("east", Some(second), 10).unwrap();
    assert_eq!(behind.iter().map(|message| &message.payload[..]).collect::<Vec<_>>(), [b"3"]);
    let delivered = vec![("east".to_owned(), first.sequence, first.position)];
    home.store.apply(Batch { delivered, ..Batch::default() }).await.unwrap();
    assert_eq!(home.store.backlog("east").unwrap().messages, 2);
    assert_eq!(home.store.backlog("north").unwrap(), store::Backlog::default());
    assert_eq!(payloads(10), ["2", "3"]);
    assert_eq!(home.store.pending("west", 10).unwrap().len(), 1);
}

pub(crate) async fn the_change_feed_gives_current_rows_in_the_order_of_their_last_write(home: Home) {
    for (id, version) in [("a", 1), ("b", 1), ("c", 1), ("a", 2)] {
        home.store.apply(batch([put(id, version)])).await.unwrap();
    }
    let gone = store::Put { deleted: true, ..put("b", 2) };
    home.store.apply(batch([gone])).await.unwrap();
    let changes = |since, limit| {
        let rows = home.store.changes(NOTE, since, limit).unwrap();
        rows.iter().map(|row| (row.id.clone(), row.version, row.deleted)).collect::<Vec<_>>()
    };
    let all = [("c".to_owned(), 1, false), ("a".to_owned(), 2, false), ("b".to_owned(), 2, true)];
    assert_eq!(changes(0, 10), all);
    assert_eq!(changes(3, 1), all[1..2]);
    assert_eq!(changes(home.store.sequence(), 10), []);
}

pub(crate) async fn the_change_feed_never_cuts_a_commit(home: Home) {
    home.store.apply(batch([put("a", 1)])).await.unwrap();
    home.store.apply(batch([put("b", 1), put("c", 1), put("d", 1)])).await.unwrap();
    let lengths = [(0, 2, 1), (1, 2, 3), (0, 4, 4)];
    for (since, limit, expected) in lengths {
        assert_eq!(
            home.store.changes(NOTE, since, limit).unwrap().len(),
            expected,
            "since {since}, limit {limit}"
        );
    }
}

pub(crate) async fn audit_records_of_commits_and_reads_come_back_in_order(home: Home) {
    let record = |text: &'static str| vec![Bytes::from_static(text.as_bytes())];
    home.store.apply(Batch { audit: record("written"), ..batch([put("a", 1)]) }).await.unwrap();
    home.store.note(2, record("read")).await.unwrap();
    home.store.apply(batch([put("b", 1)])).await.unwrap();
    home.store.apply(Batch { audit: record("again"), ..batch([put("a", 2)]) }).await.unwrap();
    let records = |after, limit| {
        let lines = home.store.audited(after, limit).unwrap();
        lines.into_iter().map(|line| (line.entry, line.instant, line.record)).collect::<Vec<_>>()
    };
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let all = [(1, 1, text("written")), (2, 2, text("read")), (4, 2, text("again"))];
    assert_eq!(records(0, 10), all);
    assert_eq!(records(1, 1), all[1..2]);
    assert!(records(4, 10).is_empty());
}

pub(crate) async fn a_closed_store_answers_nothing(home: Home) {
    home.store.apply(batch([put("a", 1)])).await.unwrap();
    home.store.close().await.unwrap();
    assert!(matches!(home.store.get(NOTE, "a"), Err(Error::Stopped(_))));
    assert!(matches!(home.store.apply(batch([put("b", 1)])).await, Err(Error::Stopped(_))));
    assert!(matches!(home.store.note(1, vec![Bytes::from_static(b"x")]).await, Err(Error::Stopped(_))));
    assert!(!home.store.health().writable);
}
