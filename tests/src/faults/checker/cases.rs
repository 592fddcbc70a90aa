//! For each promise: a history that keeps it, and histories that break it.

use super::judge_events;
use super::report::Harm;
use super::sample::{
    Sound, Story, acknowledged, document, fault, found_all, gauge, inventory, merge, read, recovery, refused,
    replacing, seen, set, sound, superseded, update, whole,
};
use crate::faults::history::{Asked, Body, FaultKind, Inventory, Kind, Phase, Recovery, Seen, Told, What};

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_history_in_which_everything_is_right_is_sound() {
    let report = judge_events(&sound().story.events);
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.acknowledged, report.unknown), (2, 1));
    assert_eq!(
        report.counts(),
        (13, 0, 4),
        "refusals, merges, failed syncs and updates do not occur in it:\n{report}"
    );
    assert!(report.to_string().ends_with("13 passed, 0 failed, 4 skipped"), "{report}");
}

#[test]
fn i1_an_acknowledged_document_that_is_missing_in_the_end_is_lost() {
    let Sound { mut story, last, .. } = sound();
    story.search_mut(last).found.remove(1);
    story.search_mut(last).total = Some(2);
    story.breaks(&["I1", "I7"]);
    assert_eq!(judge_events(&story.events).harmed(Harm::Lost), 1);
}

#[test]
fn i1_an_acknowledged_set_that_is_missing_in_the_end_is_lost() {
    let Sound { mut story, last_sets, .. } = sound();
    story.search_mut(last_sets).found.remove(0);
    story.breaks(&["I1", "I2"]);
}

#[test]
fn i1_an_acknowledged_document_has_to_be_looked_at_in_the_end() {
    let Sound { mut story, bytes, .. } = sound();
    story.events.remove(bytes);
    story.breaks(&["I1"]);
}

#[test]
fn i1_a_replaced_document_may_be_missing_among_the_current_ones_and_no_other() {
    let Sound { mut story, current, .. } = sound();
    story.is_sound();
    story.search_mut(current).found.retain(|seen| seen.id != "d2");
    story.search_mut(current).total = Some(1);
    story.breaks(&["I1"]);
}

#[test]
fn i1_a_document_replaced_by_a_replaced_one_is_rightly_not_among_the_current_ones() {
    let Sound { mut story, .. } = sound();
    story.submit("k3", "three", &[replacing("e", "d3")], acknowledged(&["s3", "d4"]));
    let (b, e) = (seen("d2", &document("b")), seen("d4", &replacing("e", "d3")));
    story.search(Kind::Document, true, &[b, e]);
    assert_eq!(story.broken(), ["I1"], "only that k3 was not looked at in the end");
}

#[test]
fn i1_a_search_that_began_before_the_acknowledgement_may_miss_it() {
    let Sound { mut story, first, early, .. } = sound();
    story.search_mut(early).found.clear();
    story.search_mut(early).total = Some(0);
    story.breaks(&["I1", "I7"]);
    story.events[early].begin = story.events[first].begin;
    story.is_sound();
}

#[test]
fn i1_a_search_that_was_not_answered_in_full_proves_nothing() {
    let Sound { mut story, early, .. } = sound();
    story.search_mut(early).found.remove(0);
    story.search_mut(early).complete = false;
    story.is_sound();
}

#[test]
fn i2_half_a_submission_is_not_visible_even_before_its_acknowledgement() {
    let Sound { mut story, first, early, .. } = sound();
    story.search_mut(early).found.remove(0);
    story.search_mut(early).total = Some(1);
    story.events[early].begin = story.events[first].begin;
    assert_eq!(story.broken(), ["I2"]);
    assert_eq!(judge_events(&story.events).harmed(Harm::HalfVisible), 1);
}

#[test]
fn i2_once_a_document_is_seen_its_set_is_there() {
    let Sound { mut story, .. } = sound();
    story.submit("k3", "three", &[document("e")], Told::unknown("cut"));
    let asked = Asked::UniqueId { kind: Kind::Document, unique_id: "e".into() };
    story.then(found_all(asked, &[seen("d4", &document("e"))]));
    story.is_sound();
    story.search(Kind::Set, false, &[seen("s1", &set("k1")), seen("s2", &set("k2"))]);
    assert_eq!(story.broken(), ["I2"]);
}

#[test]
fn i2_an_answer_counts_what_it_holds() {
    let Sound { mut story, last, .. } = sound();
    story.search_mut(last).total = Some(7);
    assert_eq!(story.broken(), ["I2"]);
}

#[test]
fn i3_a_visible_document_is_never_unknown() {
    let Sound { mut story, .. } = sound();
    story.retrieve("d1", "a", 404, Body::Nothing);
    story.breaks(&["I1", "I3"]);
    assert_eq!(judge_events(&story.events).harmed(Harm::Dangling), 1);
}

#[test]
fn i3_later_is_an_answer_in_the_storm_and_none_when_it_is_quiet() {
    let Sound { mut story, .. } = sound();
    story.retrieve("d1", "a", 503, Body::Nothing);
    assert_eq!(story.broken(), ["I3"]);
}

#[test]
fn i3_a_document_nobody_has_seen_yet_may_be_unknown() {
    let mut story = Story::default();
    story.submit("k1", "one", &[document("a")], Told::unknown("cut"));
    story.retrieve("d1", "a", 404, Body::Nothing);
    story.is_sound();
    story.search(Kind::Document, false, &[seen("d1", &document("a"))]);
    story.is_sound();
    story.retrieve("d1", "a", 500, Body::Nothing);
    assert_eq!(story.broken(), ["I3"]);
}

#[test]
fn i4_what_is_visible_was_submitted() {
    let Sound { mut story, last, .. } = sound();
    let stranger = seen("d9", &document("stranger"));
    story.search_mut(last).found.push(stranger);
    story.search_mut(last).total = Some(4);
    assert_eq!(story.broken(), ["I4"]);
}

#[test]
fn i4_attributes_and_patient_are_those_that_were_submitted() {
    let changes: [fn(&mut Seen); 2] =
        [|seen| seen.attributes = "other".into(), |seen| seen.patient = "q".into()];
    for change in changes {
        let Sound { mut story, last, .. } = sound();
        change(&mut story.search_mut(last).found[1]);
        assert_eq!(story.broken(), ["I4"]);
    }
}

#[test]
fn i4_a_set_holds_what_it_was_submitted_with() {
    let Sound { mut story, last_sets, .. } = sound();
    story.search_mut(last_sets).found[0].members = vec!["d1".into(), "d2".into()];
    story.is_sound();
    story.search_mut(last_sets).found[0].members = vec!["d1".into()];
    assert_eq!(story.broken(), ["I4"]);
}

#[test]
fn i5_a_replay_has_the_same_ids() {
    let Sound { mut story, .. } = sound();
    story.submit("k2", "two", &[replacing("c", "d1")], acknowledged(&["s2", "d3"]));
    story.is_sound();
    story.submit("k2", "two", &[replacing("c", "d1")], acknowledged(&["s2", "d9"]));
    story.breaks(&["I5"]);
}

#[test]
fn i5_a_document_is_there_once() {
    let Sound { mut story, last, .. } = sound();
    let twin = Seen { id: "d9".into(), ..seen("d2", &document("b")) };
    story.search_mut(last).found.push(twin);
    story.search_mut(last).total = Some(4);
    assert_eq!(story.broken(), ["I5"]);
    assert_eq!(judge_events(&story.events).harmed(Harm::Doubled), 1);
}

#[test]
fn i5_other_content_under_the_same_key_is_refused_and_never_committed() {
    let Sound { mut story, .. } = sound();
    story.submit("k1", "other", &[document("z")], Told::failure(409, "duplicate"));
    story.is_sound();
    story.submit("k1", "other", &[document("z")], acknowledged(&["s9", "d9"]));
    story.breaks(&["I5"]);
}

#[test]
fn i5_what_was_acknowledged_is_not_refused_when_it_is_sent_again() {
    let Sound { mut story, .. } = sound();
    story.submit("k2", "two", &[replacing("c", "d1")], refused());
    assert_eq!(story.broken(), ["I5"]);
}

#[test]
fn i6_what_was_refused_does_not_appear() {
    let mut story = Story::default();
    story.submit("k1", "one", &[document("a")], refused());
    story.is_sound();
    story.search(Kind::Document, false, &[seen("d1", &document("a"))]);
    assert_eq!(story.broken(), ["I6"]);
}

#[test]
fn i6_an_earlier_attempt_in_doubt_does_not_excuse_it() {
    let mut story = Story::default();
    story.submit("k1", "one", &[document("a")], Told::unknown("cut"));
    story.submit("k1", "one", &[document("a")], refused());
    story.search(Kind::Document, false, &[seen("d1", &document("a"))]);
    assert_eq!(story.broken(), ["I6"]);
}

#[test]
fn i6_sent_again_it_may_succeed() {
    let mut story = Story::default();
    story.submit("k1", "one", &[document("a")], refused());
    story.submit("k1", "one", &[document("a")], Told::unknown("cut"));
    story.search(Kind::Document, false, &[seen("d1", &document("a"))]);
    story.is_sound();
}

#[test]
fn i6_what_no_request_did_is_not_there() {
    let mut story = Story::default();
    story.submit("k1", "one", &[document("a")], Told::failure(503, "transient"));
    story.submit("k1", "one", &[document("a")], Told::not_sent());
    story.is_sound();
    story.search(Kind::Document, false, &[seen("d1", &document("a"))]);
    assert_eq!(story.broken(), ["I6"]);
}

#[test]
fn i7_what_one_client_has_seen_every_later_one_sees() {
    let mut story = Story::default();
    story.submit("k1", "one", &[document("a")], Told::unknown("cut"));
    story.search(Kind::Document, false, &[]);
    story.search(Kind::Document, false, &[seen("d1", &document("a"))]);
    story.is_sound();
    story.search(Kind::Document, false, &[]);
    assert_eq!(story.broken(), ["I7"]);
}

#[test]
fn i7_versions_and_status_never_go_back() {
    let Sound { mut story, .. } = sound();
    story.then(read(superseded(seen("d1", &document("a")))));
    story.is_sound();
    let at = story.then(read(seen("d1", &document("a"))));
    story.breaks(&["I7", "I20"]);
    story.events[at].begin = 0;
    story.is_sound();
}

#[test]
fn i8_a_document_is_replaced_once() {
    let Sound { mut story, .. } = sound();
    story.submit("k3", "three", &[replacing("e", "d1")], Told::failure(400, "business-rule"));
    story.is_sound();
    let asked = Asked::UniqueId { kind: Kind::Document, unique_id: "e".into() };
    story.then(found_all(asked, &[seen("d4", &replacing("e", "d1"))]));
    story.breaks(&["I8", "I6"]);
}

#[test]
fn i8_the_old_one_is_deprecated_and_the_new_one_there_in_one_instant() {
    let Sound { mut story, last, .. } = sound();
    let old = seen("d1", &document("a"));
    story.search_mut(last).found[0] = old;
    story.breaks(&["I2", "I8"]);

    let Sound { mut story, second, .. } = sound();
    let (a, b) = (superseded(seen("d1", &document("a"))), seen("d2", &document("b")));
    let at = story.search(Kind::Document, false, &[a, b]);
    story.events[at].begin = story.events[second].begin;
    assert_eq!(story.broken(), ["I8"]);
}

#[test]
fn i8_only_current_ones_are_current() {
    let Sound { mut story, current, .. } = sound();
    story.search_mut(current).found.push(superseded(seen("d1", &document("a"))));
    story.search_mut(current).total = Some(3);
    story.breaks(&["I8"]);
}

#[test]
fn i9_nothing_belongs_to_a_patient_that_is_gone() {
    let Sound { mut story, .. } = sound();
    let at_home = |id: &str, patient: &str| Seen { patient: patient.into(), ..seen(id, &document("b")) };
    story.then(merge("p", "q"));
    let asked = Asked::UniqueId { kind: Kind::Document, unique_id: "b".into() };
    story.then(found_all(asked.clone(), &[at_home("d2", "q")]));
    story.is_sound();
    story.then(found_all(asked, &[at_home("d2", "p")]));
    assert_eq!(story.broken(), ["I9"]);
}

#[test]
fn i9_what_a_patient_had_is_found_at_the_one_that_stays() {
    let Sound { mut story, .. } = sound();
    story.then(merge("p", "q"));
    let of_q = |seen: Seen| Seen { patient: "q".into(), ..seen };
    let all = [
        of_q(superseded(seen("d1", &document("a")))),
        of_q(seen("d2", &document("b"))),
        of_q(seen("d3", &replacing("c", "d1"))),
    ];
    let asked = Asked::Patient { patient: "q".into(), kind: Kind::Document, current_only: false };
    story.then(found_all(asked.clone(), &all));
    story.search(Kind::Document, false, &[]);
    story.is_sound();
    story.then(found_all(asked, &all[..2]));
    story.breaks(&["I1", "I7"]);
}

#[test]
fn i10_disk_and_references_agree() {
    let name = || vec!["0a1b".to_owned()];
    type Change = fn(&mut Inventory, Vec<String>);
    let changes: [(Harm, Change); 4] = [
        (Harm::Orphaned, |inventory, names| inventory.unreferenced = names),
        (Harm::Orphaned, |inventory, names| inventory.staging = names),
        (Harm::Dangling, |inventory, names| inventory.missing = names),
        (Harm::Dangling, |inventory, names| inventory.damaged = names),
    ];
    for (harm, change) in changes {
        let Sound { mut story, .. } = sound();
        let mut wrong = inventory();
        change(&mut wrong, name());
        story.then(What::Inventory(wrong));
        assert_eq!(story.broken(), ["I10"]);
        assert_eq!(judge_events(&story.events).harmed(harm), 1);
    }
}

#[test]
fn i11_a_complete_body_has_its_hash() {
    let bodies =
        [whole("b"), Body::Whole { sha256: "hash of a".into(), size: 9 }, Body::Part { equal: false }];
    for body in bodies {
        let Sound { mut story, .. } = sound();
        let status = if matches!(body, Body::Part { .. }) { 206 } else { 200 };
        story.retrieve("d1", "a", status, body);
        story.breaks(&["I3", "I11"]);
    }
    let Sound { mut story, early, .. } = sound();
    story.retrieve("d1", "a", 206, Body::Part { equal: true });
    story.is_sound();
    let cut = story.retrieve("d1", "a", 200, Body::Cut);
    assert_eq!(story.broken(), ["I3"], "half a body breaks nothing but the quiet");
    let event = story.events.remove(cut);
    story.events.insert(early + 1, event);
    story.events[early + 1].begin = story.events[early].end;
    story.is_sound();
}

#[test]
fn i12_nothing_stays_in_doubt() {
    let Sound { mut story, .. } = sound();
    story.then(gauge(2, Some(59_000)));
    story.is_sound();
    story.then(gauge(2, Some(61_000)));
    assert_eq!(story.broken(), ["I12"]);

    let Sound { mut story, .. } = sound();
    story.lasting(61 * SECOND, What::Phase(Phase::Quiet));
    story.then(gauge(1, None));
    assert_eq!(story.broken(), ["I12"], "who does not tell its age is older than the quiet");

    let Sound { mut story, .. } = sound();
    story.then(What::Inventory(Inventory { in_doubt: 1, ..inventory() }));
    assert_eq!(story.broken(), ["I12"]);
}

#[test]
fn i15_every_actor_comes_back_soon_and_by_itself() {
    let Sound { mut story, .. } = sound();
    story.then(fault(FaultKind::PowerCut, "registry", None));
    assert_eq!(story.broken(), ["I15"], "it has not come back yet");
    let stopped = What::Recovery(Recovery {
        actor: "registry".into(),
        from: FaultKind::PowerCut,
        ready: false,
        by_hand: false,
    });
    story.then(stopped);
    assert_eq!(story.broken(), ["I15"], "killed again before it was ready");
    story.lasting(29 * SECOND, recovery("registry"));
    story.is_sound();
    let report = judge_events(&story.events);
    assert_eq!(report.slowest_recovery, Some((29 * SECOND, "registry".into(), FaultKind::Kill)));
    story.lasting(31 * SECOND, recovery("registry"));
    assert_eq!(story.broken(), ["I15"]);
}

#[test]
fn i15_hands_are_not_needed() {
    let Sound { mut story, .. } = sound();
    story.then(What::Recovery(Recovery {
        actor: "registry".into(),
        from: FaultKind::Kill,
        ready: true,
        by_hand: true,
    }));
    assert_eq!(story.broken(), ["I15"]);
}

#[test]
fn i18_after_a_failed_sync_nothing_is_acknowledged_and_the_process_ends() {
    let failed = |exit| fault(FaultKind::SyncFailed, "repository", exit);
    let Sound { mut story, .. } = sound();
    story.lasting(5 * SECOND, failed(Some(74)));
    story.then(recovery("repository"));
    story.is_sound();

    let Sound { mut story, second, .. } = sound();
    let at = story.lasting(5 * SECOND, failed(Some(74)));
    story.then(recovery("repository"));
    story.events[at].begin = story.events[second].begin;
    assert_eq!(story.broken(), ["I18"]);

    for (actor, broken) in [("registry", &[][..]), ("repository", &["I18"])] {
        let Sound { mut story, second, .. } = sound();
        let at = story.lasting(5 * SECOND, fault(FaultKind::SyncFailed, actor, Some(74)));
        story.then(recovery(actor));
        story.events[at].begin = story.events[second].begin;
        let What::Submit(submit) = &mut story.events[second].what else { panic!("it is a submission") };
        let Told::Acknowledged { replayed, .. } = &mut submit.told else { panic!("it is acknowledged") };
        *replayed = true;
        assert_eq!(story.broken(), broken, "what is known already is answered without the registry");
    }

    let Sound { mut story, .. } = sound();
    story.then(failed(Some(101)));
    story.then(recovery("repository"));
    assert_eq!(story.broken(), ["I18"]);
}

#[test]
fn i19_equal_unique_ids_have_equal_bytes() {
    let Sound { mut story, .. } = sound();
    let again = document("b");
    story.submit("k3", "three", std::slice::from_ref(&again), Told::unknown("cut"));
    let asked = Asked::UniqueId { kind: Kind::Document, unique_id: "b".into() };
    story.then(found_all(asked.clone(), &[seen("d2", &document("b"))]));
    story.is_sound();
    let other = Seen { id: "d9".into(), hash: "hash of z".into(), ..seen("d2", &document("b")) };
    story.then(found_all(asked, &[seen("d2", &document("b")), other]));
    story.breaks(&["I19"]);
}

#[test]
fn i20_instants_of_an_object_never_go_back() {
    let Sound { mut story, last, .. } = sound();
    story.search_mut(last).found[1].updated = 999;
    story.breaks(&["I20"]);
}

#[test]
fn i21_an_acknowledged_update_is_seen_as_it_was_made_and_is_not_lost() {
    let Sound { mut story, .. } = sound();
    let updated = |remark: &str, version| Seen {
        version,
        remark: remark.into(),
        updated: seen("d2", &document("b")).updated + 500 * version as i64,
        ..seen("d2", &document("b"))
    };
    story.then(update("d2", "first", Some(2)));
    story.then(update("d2", "of unknown end", None));
    story.then(read(updated("of unknown end", 3)));
    story.then(update("d2", "last", Some(4)));
    let at = story.then(read(updated("last", 4)));
    story.is_sound();
    let as_it_was = story.events[at].clone();
    story.events[at].what = read(updated("first", 4));
    story.breaks(&["I21"]);
    story.events[at].what = read(updated("of unknown end", 3));
    story.breaks(&["I21"]);
    story.events[at] = as_it_was;
    story.then(update("d2", "another", Some(4)));
    story.breaks(&["I21"]);
}
