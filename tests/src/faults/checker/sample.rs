//! Small histories to judge, told event by event.

use crate::faults::checker::judge_events;
use crate::faults::history::{
    Asked, Body, Event, Fault, FaultKind, Gauge, Inventory, Kind, Merge, Phase, Read, Recovery, Retrieve,
    Search, Seen, Sent, Submit, Told, Update, What,
};

/// Nanoseconds an event of a story takes, and the pause behind it.
const STEP: u64 = 1_000_000;

/// A history in which one thing happens after the other.
#[derive(Default)]
pub(super) struct Story {
    pub(super) events: Vec<Event>,
    now: u64,
}

impl Story {
    /// Something happens, after everything before it; its position.
    pub(super) fn then(&mut self, what: What) -> usize {
        self.lasting(STEP, what)
    }

    /// The same, taking so long.
    pub(super) fn lasting(&mut self, nanoseconds: u64, what: What) -> usize {
        let (begin, end) = (self.now + STEP, self.now + STEP + nanoseconds);
        self.now = end;
        self.events.push(Event { client: 1, begin, end, what });
        self.events.len() - 1
    }

    pub(super) fn submit(&mut self, key: &str, content: &str, objects: &[Sent], told: Told) -> usize {
        let mut all = vec![set(key)];
        all.extend_from_slice(objects);
        let (key, content) = (key.into(), content.into());
        self.then(What::Submit(Submit { key, content, patient: "p".into(), objects: all, told }))
    }

    pub(super) fn search(&mut self, kind: Kind, current_only: bool, found: &[Seen]) -> usize {
        let asked = Asked::Patient { patient: "p".into(), kind, current_only };
        self.then(found_all(asked, found))
    }

    pub(super) fn retrieve(&mut self, id: &str, unique_id: &str, status: u16, body: Body) -> usize {
        let (id, unique_id) = (id.into(), unique_id.into());
        self.then(What::Retrieve(Retrieve { id, unique_id, status, body }))
    }

    pub(super) fn search_mut(&mut self, at: usize) -> &mut Search {
        match &mut self.events[at].what {
            What::Search(search) => search,
            other => panic!("event {at} is no search: {other:?}"),
        }
    }

    pub(super) fn broken(&self) -> Vec<&'static str> {
        judge_events(&self.events).broken()
    }

    /// It must be judged sound.
    pub(super) fn is_sound(&self) {
        let report = judge_events(&self.events);
        assert!(report.is_sound(), "this history is right, and judged broken:\n{report}");
    }

    /// It must be judged broken by these promises, and perhaps others.
    pub(super) fn breaks(&self, numbers: &[&str]) {
        let broken = self.broken();
        for number in numbers {
            assert!(broken.contains(number), "{number} is broken, and only {broken:?} are said to be");
        }
    }
}

pub(super) fn found_all(asked: Asked, found: &[Seen]) -> What {
    let total = Some(found.len() as u64);
    What::Search(Search { asked, status: 200, complete: true, total, found: found.to_vec() })
}

pub(super) fn set(key: &str) -> Sent {
    Sent {
        kind: Kind::Set,
        unique_id: key.into(),
        attributes: format!("of {key}"),
        sha256: String::new(),
        size: 0,
        replaces: None,
    }
}

pub(super) fn document(unique_id: &str) -> Sent {
    Sent {
        kind: Kind::Document,
        unique_id: unique_id.into(),
        attributes: format!("of {unique_id}"),
        sha256: format!("hash of {unique_id}"),
        size: 10,
        replaces: None,
    }
}

pub(super) fn replacing(unique_id: &str, target: &str) -> Sent {
    Sent { replaces: Some(target.into()), ..document(unique_id) }
}

pub(super) fn acknowledged(ids: &[&str]) -> Told {
    Told::Acknowledged { ids: ids.iter().map(|id| (*id).to_owned()).collect(), replayed: false }
}

pub(super) fn refused() -> Told {
    Told::failure(400, "invalid")
}

/// An object as it is seen after it was submitted.
pub(super) fn seen(id: &str, sent: &Sent) -> Seen {
    Seen {
        kind: sent.kind,
        id: id.into(),
        unique_id: sent.unique_id.clone(),
        patient: "p".into(),
        version: 1,
        superseded: false,
        updated: 1_000,
        attributes: sent.attributes.clone(),
        remark: String::new(),
        hash: sent.sha256.clone(),
        replaces: sent.replaces.iter().cloned().collect(),
        members: Vec::new(),
    }
}

/// The same after another one has taken its place.
pub(super) fn superseded(seen: Seen) -> Seen {
    Seen { superseded: true, version: seen.version + 1, updated: seen.updated + 500, ..seen }
}

pub(super) fn whole(unique_id: &str) -> Body {
    Body::Whole { sha256: format!("hash of {unique_id}"), size: 10 }
}

pub(super) fn fault(kind: FaultKind, actor: &str, exit: Option<i32>) -> What {
    let ends_process = !matches!(kind, FaultKind::Pause | FaultKind::Network | FaultKind::Clock);
    What::Fault(Fault { kind, actor: actor.into(), detail: String::new(), ends_process, exit })
}

pub(super) fn recovery(actor: &str) -> What {
    What::Recovery(Recovery { actor: actor.into(), from: FaultKind::Kill, ready: true, by_hand: false })
}

pub(super) fn merge(from: &str, into: &str) -> What {
    What::Merge(Merge { from: from.into(), into: into.into(), status: 200 })
}

pub(super) fn update(id: &str, remark: &str, version: Option<u64>) -> What {
    let status = if version.is_some() { 200 } else { 0 };
    What::Update(Update { id: id.into(), remark: remark.into(), status, version })
}

pub(super) fn read(seen: Seen) -> What {
    What::Read(Read { kind: seen.kind, id: seen.id.clone(), version: None, status: 200, seen: Some(seen) })
}

pub(super) fn gauge(in_doubt: u64, oldest_ms: Option<u64>) -> What {
    What::Gauge(Gauge { actor: "repository".into(), in_doubt, oldest_ms })
}

pub(super) fn inventory() -> Inventory {
    Inventory { actor: "repository".into(), blobs: 3, ..Inventory::default() }
}

/// Two submissions, the second replacing a document of the first; a kill; and a last look at everything.
pub(super) struct Sound {
    pub(super) story: Story,
    /// The acknowledgement of the first: set `s1`, documents `d1` and `d2`.
    pub(super) first: usize,
    /// A search that shows the first alone.
    pub(super) early: usize,
    /// The acknowledgement of the second: set `s2`, document `d3` in place of `d1`.
    pub(super) second: usize,
    /// The search for current documents only.
    pub(super) current: usize,
    /// The last search for documents, and the one for sets.
    pub(super) last: usize,
    pub(super) last_sets: usize,
    /// The last retrieval of `d2`.
    pub(super) bytes: usize,
}

pub(super) fn sound() -> Sound {
    let mut story = Story::default();
    story.then(What::Phase(Phase::Storm));
    let (a, b, c) = (document("a"), document("b"), replacing("c", "d1"));
    let first = story.submit("k1", "one", &[a.clone(), b.clone()], acknowledged(&["s1", "d1", "d2"]));
    let early = story.search(Kind::Document, false, &[seen("d1", &a), seen("d2", &b)]);
    story.retrieve("d1", "a", 503, Body::Nothing);
    story.then(fault(FaultKind::Kill, "repository", None));
    story.then(recovery("repository"));
    story.submit("k2", "two", std::slice::from_ref(&c), Told::unknown("reset"));
    let second = story.submit("k2", "two", std::slice::from_ref(&c), acknowledged(&["s2", "d3"]));
    let current = story.search(Kind::Document, true, &[seen("d2", &b), seen("d3", &c)]);
    story.then(What::Phase(Phase::Settling));
    story.then(What::Phase(Phase::Quiet));
    let all = [superseded(seen("d1", &a)), seen("d2", &b), seen("d3", &c)];
    let last = story.search(Kind::Document, false, &all);
    let last_sets = story.search(Kind::Set, false, &[seen("s1", &set("k1")), seen("s2", &set("k2"))]);
    story.retrieve("d1", "a", 200, whole("a"));
    let bytes = story.retrieve("d2", "b", 200, whole("b"));
    story.retrieve("d3", "c", 200, whole("c"));
    story.then(gauge(0, None));
    story.then(What::Inventory(inventory()));
    Sound { story, first, early, second, current, last, last_sets, bytes }
}
