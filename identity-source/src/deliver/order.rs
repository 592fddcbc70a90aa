//! Which messages may go now. Messages that touch a common patient go in the order in which they were left; one that cannot
//! go holds up those behind it that touch one of its patients, and no others.
//!
//! A stream of the outbox names every patient a message touches, ids parted by spaces: one mostly, two of a merge or an
//! unmerge. So a merge stands behind what was told of either before it, and before what is told of either later.

use std::collections::{HashMap, HashSet};

use store::{Pending, Sequence};

/// A message's place in the outbox.
pub(crate) type Key = (Sequence, u32);

/// The place of a message.
pub(crate) fn key(message: &Pending) -> Key {
    (message.sequence, message.position)
}

/// The stream of a message that touches these patients.
pub(crate) fn stream<'a>(patients: impl IntoIterator<Item = &'a str>) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for patient in patients {
        if !distinct.contains(&patient) {
            distinct.push(patient);
        }
    }
    distinct.join(" ")
}

/// The patients a message touches.
fn patients(message: &Pending) -> impl Iterator<Item = &str> {
    message.stream.split(' ')
}

/// Patients who are waited for: a message that touches one of them stays where it is.
#[derive(Debug, Default)]
pub(crate) struct Held(HashSet<String>);

impl Held {
    /// Whether a message must stay; then those behind it that touch any of its patients must stay too.
    pub(crate) fn keeps(&mut self, message: &Pending) -> bool {
        let kept = patients(message).any(|patient| self.0.contains(patient));
        if kept {
            self.hold(message);
        }
        kept
    }

    /// A message stays.
    pub(crate) fn hold(&mut self, message: &Pending) {
        self.0.extend(patients(message).map(str::to_owned));
    }

    /// The same of others.
    pub(crate) fn extend(&mut self, others: Held) {
        self.0.extend(others.0);
    }
}

/// Messages of one lane go one behind the other; lanes touch no common patient, and go side by side. In the order of their
/// first messages.
pub(crate) fn lanes(messages: Vec<Pending>) -> Vec<Vec<Pending>> {
    let mut lanes: Vec<Vec<Pending>> = Vec::new();
    let mut lane_of: HashMap<String, usize> = HashMap::new();
    for message in messages {
        let mut touched: Vec<usize> = patients(&message).filter_map(|id| lane_of.get(id).copied()).collect();
        touched.sort_unstable();
        touched.dedup();
        let lane = match touched.split_first() {
            None => {
                lanes.push(Vec::new());
                lanes.len() - 1
            }
            Some((&first, others)) => {
                for other in others {
                    let joined = std::mem::take(&mut lanes[*other]);
                    lanes[first].extend(joined);
                    lane_of.values_mut().filter(|lane| *lane == other).for_each(|lane| *lane = first);
                }
                if !others.is_empty() {
                    lanes[first].sort_by_key(key);
                }
                first
            }
        };
        lane_of.extend(patients(&message).map(|id| (id.to_owned(), lane)));
        lanes[lane].push(message);
    }
    lanes.retain(|lane| !lane.is_empty());
    lanes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(sequence: Sequence, stream: &str) -> Pending {
        Pending {
            sequence,
            position: 0,
            instant: 0,
            peer: String::new(),
            stream: stream.to_owned(),
            payload: bytes::Bytes::new(),
        }
    }

    fn streams(lanes: &[Vec<Pending>]) -> Vec<Vec<Sequence>> {
        lanes.iter().map(|lane| lane.iter().map(|message| message.sequence).collect()).collect()
    }

    #[test]
    fn a_merge_stands_behind_both_and_before_what_comes_later() {
        let messages = ["a", "b", "c", "b a", "b", "c", "a"];
        let messages = (1..).zip(messages).map(|(sequence, stream)| message(sequence, stream)).collect();
        assert_eq!(streams(&lanes(messages)), [vec![1, 2, 4, 5, 7], vec![3, 6]]);
    }

    #[test]
    fn what_stays_holds_up_its_patients_and_no_others() {
        let mut held = Held::default();
        held.hold(&message(1, "a"));
        assert!(held.keeps(&message(2, "b a")));
        assert!(held.keeps(&message(3, "b")), "behind the merge");
        assert!(!held.keeps(&message(4, "c")));
    }

    /// What a receiver has taken, and the outbox it is told from.
    #[derive(Debug)]
    struct Model {
        outbox: Vec<Pending>,
        taken: Vec<Sequence>,
    }

    impl Model {
        /// One round as the courier makes it: pages, lanes, refusals; `refuses` says what the receiver does not take now.
        fn round(&mut self, page: usize, refuses: &dyn Fn(Sequence) -> bool) {
            let mut held = Held::default();
            let mut cursor = 0;
            loop {
                let waiting = self.outbox.iter().filter(|message| message.sequence > cursor);
                let messages: Vec<Pending> = waiting.take(page).cloned().collect();
                let Some(last) = messages.last() else { return };
                cursor = last.sequence;
                let going = messages.into_iter().filter(|message| !held.keeps(message)).collect();
                // Any order of the lanes is possible: the last goes first here.
                for lane in lanes(going).into_iter().rev() {
                    let mut stays = Held::default();
                    for message in lane {
                        if stays.keeps(&message) {
                            continue;
                        }
                        if refuses(message.sequence) {
                            stays.hold(&message);
                        } else {
                            self.taken.push(message.sequence);
                            self.outbox.retain(|waiting| waiting.sequence != message.sequence);
                        }
                    }
                    held.extend(stays);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn messages_of_a_patient_keep_their_order_whatever_is_refused(
            streams in proptest::collection::vec((0..5u8, proptest::option::of(0..5u8)), 1..30),
            refused in proptest::collection::vec(proptest::collection::hash_set(1..30u64, 0..6), 0..5),
            page in 1..8usize,
        ) {
            let streams: Vec<String> = streams
                .iter()
                .map(|(one, other)| {
                    let names = std::iter::once(one).chain(other).map(u8::to_string).collect::<Vec<_>>();
                    stream(names.iter().map(String::as_str))
                })
                .collect();
            let messages = (1..).zip(&streams).map(|(sequence, stream)| message(sequence, stream));
            let mut model = Model { outbox: messages.collect(), taken: Vec::new() };
            for refusals in &refused {
                let blocked = |sequence: Sequence| {
                    // What touches a refused one, directly or behind something that waits for it.
                    let mut held = Held::default();
                    for waiting in &model.outbox {
                        let kept = held.keeps(waiting) || refusals.contains(&waiting.sequence);
                        if kept {
                            held.hold(waiting);
                        }
                        if waiting.sequence == sequence {
                            return kept;
                        }
                    }
                    false
                };
                let free: Vec<Sequence> = model
                    .outbox
                    .iter()
                    .map(|message| message.sequence)
                    .filter(|sequence| !blocked(*sequence))
                    .collect();
                model.round(page, &|sequence| refusals.contains(&sequence));
                for sequence in free {
                    prop_assert!(model.taken.contains(&sequence), "{sequence} was held up by a stranger");
                }
            }
            model.round(page, &|_| false);
            prop_assert_eq!(model.taken.len(), streams.len(), "everything arrives, once");
            for (place, one) in model.taken.iter().enumerate() {
                for later in &model.taken[place + 1..] {
                    let ids = |sequence: &Sequence| {
                        let at = usize::try_from(*sequence).expect("is small") - 1;
                        streams[at].split(' ').map(str::to_owned).collect::<HashSet<_>>()
                    };
                    prop_assert!(later > one || ids(one).is_disjoint(&ids(later)), "{later} came after {one}");
                }
            }
        }
    }
}
