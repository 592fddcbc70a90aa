//! A history in order: what was submitted under which key, who it belongs to, and since when it must be visible.

use std::collections::{HashMap, HashSet};

use crate::faults::history::{
    Asked, Event, Kind, Merge, Phase, Search, Seen, Sent, Submit, Told, Unmerge, What,
};

/// Replacements of replacements that are followed.
const LONGEST_CHAIN: usize = 64;

/// One content under one key, and every request that carried it.
pub(super) struct Content<'a> {
    pub(super) key: &'a str,
    pub(super) patient: &'a str,
    pub(super) objects: &'a [Sent],
    /// Positions of the requests.
    pub(super) attempts: Vec<usize>,
    /// Position of the first acknowledgement.
    pub(super) acknowledged: Option<usize>,
    /// End of the first event that proves it committed, and its position.
    pub(super) since: Option<(u64, usize)>,
}

/// An object: which content, and which of its objects.
pub(super) type Object = (usize, usize);

/// One look at an object, in whatever event.
pub(super) struct Sighting<'a> {
    pub(super) event: usize,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) seen: &'a Seen,
    /// False if an old version was asked for.
    pub(super) newest: bool,
}

/// A search, and whose the objects it found are.
pub(super) struct Look<'a> {
    pub(super) event: usize,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) search: &'a Search,
    /// The objects found, as far as they are known.
    pub(super) found: HashMap<Object, &'a Seen>,
    /// Objects of which one was found, and nobody can tell which.
    maybe: HashSet<Object>,
}

/// The history, sorted for judging.
pub(super) struct Ledger<'a> {
    pub(super) events: &'a [Event],
    pub(super) contents: Vec<Content<'a>>,
    /// Contents by key.
    pub(super) keys: HashMap<&'a str, Vec<usize>>,
    /// Objects by the ids they were given, or seen under.
    pub(super) ids: HashMap<&'a str, Object>,
    /// The other way round.
    pub(super) given: HashMap<Object, Vec<&'a str>>,
    /// Looks at an object, by its id.
    pub(super) sightings: HashMap<&'a str, Vec<Sighting<'a>>>,
    /// Searches that were answered in full.
    pub(super) looks: Vec<Look<'a>>,
    /// End of the first event that proves an object visible, and its position.
    pub(super) since: HashMap<Object, (u64, usize)>,
    /// Objects that replace a document, by the id of the replaced one.
    pub(super) replacers: HashMap<&'a str, Vec<Object>>,
    /// Merges, by the patient that goes.
    merges: HashMap<&'a str, Vec<(usize, &'a Merge)>>,
    /// Ends of merges.
    unmerges: Vec<(usize, &'a Unmerge)>,
    /// Contents by each patient they may be found at.
    homes: HashMap<&'a str, Vec<usize>>,
    /// When the quiet began.
    pub(super) quiet: Option<u64>,
    unique_ids: HashMap<Kind, HashMap<&'a str, Vec<Object>>>,
}

impl<'a> Ledger<'a> {
    pub(super) fn of(events: &'a [Event]) -> Ledger<'a> {
        let mut ledger = Ledger {
            events,
            contents: Vec::new(),
            keys: HashMap::new(),
            ids: HashMap::new(),
            given: HashMap::new(),
            sightings: HashMap::new(),
            looks: Vec::new(),
            since: HashMap::new(),
            replacers: HashMap::new(),
            merges: HashMap::new(),
            unmerges: Vec::new(),
            homes: HashMap::new(),
            quiet: None,
            unique_ids: HashMap::new(),
        };
        let mut known = HashMap::new();
        for (at, event) in events.iter().enumerate() {
            match &event.what {
                What::Submit(submit) => ledger.submitted(&mut known, at, submit),
                What::Merge(merge) => ledger.merges.entry(&merge.from).or_default().push((at, merge)),
                What::Unmerge(unmerge) => ledger.unmerges.push((at, unmerge)),
                What::Phase(Phase::Quiet) => ledger.quiet = ledger.quiet.or(Some(event.end)),
                What::Phase(Phase::Storm | Phase::Settling) => ledger.quiet = None,
                _ => {}
            }
        }
        ledger.settle_homes();
        // Whose an object is can be said only once every submission is known: an answer may come after the sight.
        for (at, event) in events.iter().enumerate() {
            match &event.what {
                What::Search(search) => ledger.searched(at, search),
                What::Read(read) => {
                    if let Some(seen) = &read.seen {
                        ledger.sighted(at, seen, read.version.is_none());
                    }
                }
                _ => {}
            }
        }
        ledger
    }

    /// A content may be found at its patient, and at whomever that one may have been merged into.
    fn settle_homes(&mut self) {
        for (index, content) in self.contents.iter().enumerate() {
            let (mut patients, mut at) = (vec![content.patient], 0);
            while let Some(patient) = patients.get(at) {
                let merges = self.merges.get(patient).map_or(&[][..], Vec::as_slice);
                for (_, merge) in merges {
                    if !patients.contains(&merge.into.as_str()) {
                        patients.push(&merge.into);
                    }
                }
                at += 1;
            }
            for patient in patients {
                self.homes.entry(patient).or_default().push(index);
            }
        }
    }

    fn submitted(&mut self, known: &mut HashMap<(&'a str, &'a str), usize>, at: usize, submit: &'a Submit) {
        let index = *known.entry((&submit.key, &submit.content)).or_insert_with(|| {
            self.contents.push(Content {
                key: &submit.key,
                patient: &submit.patient,
                objects: &submit.objects,
                attempts: Vec::new(),
                acknowledged: None,
                since: None,
            });
            self.contents.len() - 1
        });
        if self.contents[index].attempts.is_empty() {
            self.keys.entry(&submit.key).or_default().push(index);
            for (number, object) in submit.objects.iter().enumerate() {
                let ids = self.unique_ids.entry(object.kind).or_default();
                ids.entry(&object.unique_id).or_default().push((index, number));
                if let Some(target) = &object.replaces {
                    self.replacers.entry(target).or_default().push((index, number));
                }
            }
        }
        self.contents[index].attempts.push(at);
        if let Told::Acknowledged { ids, .. } = &submit.told {
            let earliest = |first: usize| self.events[first].end <= self.events[at].end;
            if !self.contents[index].acknowledged.is_some_and(earliest) {
                self.contents[index].acknowledged = Some(at);
            }
            for (number, id) in ids.iter().enumerate() {
                self.name((index, number), id);
                self.proved((index, number), at);
            }
        }
    }

    fn name(&mut self, object: Object, id: &'a str) {
        self.ids.entry(id).or_insert(object);
        let given = self.given.entry(object).or_default();
        if !given.contains(&id) {
            given.push(id);
        }
    }

    fn proved(&mut self, object: Object, at: usize) {
        let proof = (self.events[at].end, at);
        let since = self.since.entry(object).or_insert(proof);
        *since = (*since).min(proof);
        let content = &mut self.contents[object.0].since;
        *content = Some(content.map_or(proof, |known| known.min(proof)));
    }

    fn searched(&mut self, at: usize, search: &'a Search) {
        let (mut found, mut maybe) = (HashMap::new(), HashSet::new());
        for seen in &search.found {
            match self.sighted(at, seen, true) {
                Some(object) => _ = found.insert(object, seen),
                None => maybe.extend(self.candidates(seen.kind, &seen.unique_id)),
            }
        }
        if search.complete && search.status == 200 {
            let Event { begin, end, .. } = self.events[at];
            self.looks.push(Look { event: at, begin, end, search, found, maybe });
        }
    }

    fn sighted(&mut self, at: usize, seen: &'a Seen, newest: bool) -> Option<Object> {
        let Event { begin, end, .. } = self.events[at];
        self.sightings.entry(&seen.id).or_default().push(Sighting { event: at, begin, end, seen, newest });
        let object = self.owner(seen)?;
        self.name(object, &seen.id);
        self.proved(object, at);
        Some(object)
    }

    /// Whose an object is; none if nobody sent it, or if that cannot be told.
    pub(super) fn owner(&self, seen: &Seen) -> Option<Object> {
        if let Some(object) = self.ids.get(seen.id.as_str()) {
            return Some(*object);
        }
        let candidates = self.candidates(seen.kind, &seen.unique_id);
        if let [] | [_] = candidates {
            return candidates.first().copied();
        }
        // The same unique id was sent more than once. Whoever was told another id is not meant.
        let open = || candidates.iter().filter(|object| self.told(**object).is_none());
        let alike = || open().filter(|object| self.sent(**object).attributes == seen.attributes);
        match open().count() {
            // Everybody was told another id: whatever this is, it is one too many.
            0 => candidates.first().copied(),
            1 => open().next().copied(),
            _ => {
                only(alike()).or_else(|| only(alike().filter(|object| self.may_be_there(object.0)))).copied()
            }
        }
    }

    /// True unless every request that carried this content was told it did nothing.
    fn may_be_there(&self, content: usize) -> bool {
        self.contents[content].attempts.iter().any(|at| match &self.events[*at].what {
            What::Submit(submit) => {
                matches!(submit.told, Told::Acknowledged { .. } | Told::Unknown { .. })
            }
            _ => false,
        })
    }

    /// The id an object was given by an acknowledgement.
    fn told(&self, (content, number): Object) -> Option<&'a str> {
        let at = self.contents[content].acknowledged?;
        let What::Submit(submit) = &self.events[at].what else { return None };
        submit.told.ids()?.get(number).map(String::as_str)
    }

    /// The objects that were sent under a unique id.
    pub(super) fn candidates(&self, kind: Kind, unique_id: &str) -> &[Object] {
        self.unique_ids.get(&kind).and_then(|ids| ids.get(unique_id)).map_or(&[], Vec::as_slice)
    }

    /// An object as it was sent.
    pub(super) fn sent(&self, (content, number): Object) -> &'a Sent {
        &self.contents[content].objects[number]
    }

    /// All objects of all contents.
    pub(super) fn objects(&self) -> impl Iterator<Item = Object> + '_ {
        let objects = |(index, content): (usize, &Content<'a>)| {
            (0..content.objects.len()).map(move |number| (index, number))
        };
        self.contents.iter().enumerate().flat_map(objects)
    }

    /// The patient whose documents a patient's are during a span of time; none if that cannot be told.
    pub(super) fn home(&self, patient: &'a str, begin: u64, end: u64) -> Option<&'a str> {
        let mut patient = patient;
        // What was submitted while two patients were one stays with the survivor, or moves when somebody decides so.
        if self.unmerges.iter().any(|(at, unmerge)| {
            self.events[*at].begin < end && (unmerge.patient == patient || unmerge.from == patient)
        }) {
            return None;
        }
        // More steps than merges would be a circle.
        for _ in 0..=self.merges.len() {
            let merges = self.merges.get(patient).map_or(&[][..], Vec::as_slice);
            if merges.iter().all(|(at, _)| self.events[*at].begin >= end) {
                return Some(patient);
            }
            let done = merges
                .iter()
                .find(|(at, merge)| (200..300).contains(&merge.status) && self.events[*at].end <= begin);
            patient = &done?.1.into;
            if self.unmerges.iter().any(|(at, unmerge)| {
                self.events[*at].begin < end && (unmerge.patient == patient || unmerge.from == patient)
            }) {
                return None;
            }
        }
        None
    }

    /// True if somebody tried to merge this patient away, or to undo such a merge, whatever came of it.
    pub(super) fn may_have_gone(&self, patient: &str) -> bool {
        self.merges.contains_key(patient) || self.unmerges.iter().any(|(_, unmerge)| unmerge.from == patient)
    }

    /// Until when a merge that ended then certainly stood.
    pub(super) fn stood_until(&self, merge: &Merge, end: u64) -> u64 {
        let undone = self.unmerges.iter().filter(|(_, unmerge)| unmerge.patient == merge.from);
        let undone = undone.map(|(at, _)| &self.events[*at]).filter(|event| event.end > end);
        undone.map(|event| event.begin).min().unwrap_or(u64::MAX)
    }

    /// Merges that were acknowledged.
    pub(super) fn merges(&self) -> impl Iterator<Item = (usize, &'a Merge)> + '_ {
        self.merges.values().flatten().filter(|(_, merge)| (200..300).contains(&merge.status)).copied()
    }

    /// The objects a look must show if they are visible: it asks for all of their kind and patient, or for themselves.
    pub(super) fn covered(&self, look: &Look<'a>) -> Vec<Object> {
        match &look.search.asked {
            Asked::Patient { patient, .. } => {
                let contents = self.homes.get(patient.as_str()).map_or(&[][..], Vec::as_slice);
                let objects = contents.iter().flat_map(|index| {
                    (0..self.contents[*index].objects.len()).map(|number| (*index, number))
                });
                objects.filter(|object| self.covers(look, *object)).collect()
            }
            Asked::UniqueId { kind, unique_id } => self.candidates(*kind, unique_id).to_vec(),
            Asked::Other(_) => Vec::new(),
        }
    }

    /// Whether an object is one of those.
    pub(super) fn covers(&self, look: &Look<'a>, object: Object) -> bool {
        let sent = self.sent(object);
        match &look.search.asked {
            Asked::Patient { patient, kind, .. } => {
                *kind == sent.kind
                    && self.home(self.contents[object.0].patient, look.begin, look.end)
                        == Some(patient.as_str())
            }
            // Another content under the same unique id would be found as well.
            Asked::UniqueId { kind, unique_id } => *kind == sent.kind && *unique_id == sent.unique_id,
            Asked::Other(_) => false,
        }
    }

    /// True unless an object that is visible is missing in a look that covers it.
    pub(super) fn shows(&self, look: &Look<'a>, object: Object) -> bool {
        look.found.contains_key(&object) || look.maybe.contains(&object) || self.excused(look, object)
    }

    /// True if an object that is visible is rightly missing: only current ones were asked for, and another one has taken its
    /// place, which is there or has been replaced in turn.
    fn excused(&self, look: &Look<'a>, object: Object) -> bool {
        matches!(look.search.asked, Asked::Patient { current_only: true, .. })
            && self.replaced_in(look, object, LONGEST_CHAIN)
    }

    fn replaced_in(&self, look: &Look<'a>, object: Object, depth: usize) -> bool {
        let ids = self.given.get(&object).map_or(&[][..], Vec::as_slice);
        let mut replacers = ids.iter().filter_map(|id| self.replacers.get(id)).flatten();
        replacers.any(|replacer| {
            look.found.contains_key(replacer) || (depth > 0 && self.replaced_in(look, *replacer, depth - 1))
        })
    }

    /// The content an object belongs to.
    pub(super) fn content(&self, object: Object) -> &Content<'a> {
        &self.contents[object.0]
    }

    /// True if an event began when everything was quiet.
    pub(super) fn is_quiet(&self, begin: u64) -> bool {
        self.quiet.is_some_and(|quiet| begin >= quiet)
    }
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next();
    if items.next().is_some() { None } else { first }
}
