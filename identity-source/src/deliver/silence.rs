//! Messages that were sent and not answered, or by nothing that can be understood. One such message says nothing: a receiver
//! that is half away is as silent. So a message that stays silent some times lets others of other patients go in its place,
//! and only if one of those is answered, and this one again is not, it counts as refused.

use std::collections::{BTreeMap, HashSet};

use super::answer::Refusal;
use super::order::Key;

/// Tries that come to nothing before others may go in a message's place.
pub(super) const PATIENT: u32 = 3;
/// Messages that may stand aside at a time. If none of so many was answered, the receiver is away, and no others are tried.
const MOST: usize = 100;

/// What fell silent.
#[derive(Debug, Clone, Default)]
pub(super) struct Silences {
    of: BTreeMap<Key, Silence>,
    /// Patients who were told of in vain while the receiver was told of everybody, and answered others.
    mute: HashSet<String>,
    /// How many messages were answered, whatever the answer.
    answers: u64,
    /// How many tries came to nothing since the last answer.
    in_vain: u32,
    /// Counts the tries, so that the one that was tried longest ago has its turn.
    clock: u64,
}

/// One message that is not answered.
#[derive(Debug, Clone)]
struct Silence {
    /// The patients it touches.
    stream: String,
    tries: u32,
    /// How many answers had come when it was tried last.
    seen: u64,
    /// Whether it was called to be tried again since.
    is_called: bool,
    /// When that was.
    at: u64,
    words: String,
}

impl Silence {
    fn stands_aside(&self) -> bool {
        self.tries >= PATIENT
    }
}

/// What follows from a message that fell silent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The receiver is away as far as anybody can tell.
    Away,
    /// It stands aside, and others are tried.
    Aside,
    /// The receiver answers others: it is this message.
    Refused(Refusal),
}

/// What is to be done with those that stand aside, once all others had their turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// None does.
    Nobody,
    /// Others were answered since: each is tried again, and has its verdict.
    All,
    /// Nobody was answered: this one, whose silence is in these words, is tried.
    One(Key, String),
}

impl Silences {
    /// A message was answered.
    pub(super) fn answered(&mut self) {
        self.answers += 1;
        self.in_vain = 0;
    }

    /// Whether so many fell silent one behind the other that a round ends: each may have cost the whole timeout.
    pub(super) fn are_in_a_row(&self) -> bool {
        self.in_vain > PATIENT
    }

    /// How many were.
    pub(super) fn answers(&self) -> u64 {
        self.answers
    }

    /// This message waits no longer, or was answered.
    pub(super) fn forget(&mut self, key: &Key) {
        self.of.remove(key);
    }

    /// The next message of this patient is known to be silent while others are answered.
    pub(super) fn is_mute(&mut self, patient: &str) {
        self.mute.insert(patient.to_owned());
    }

    /// Messages that stand aside unanswered: place, patients, tries, why.
    pub(super) fn aside(&self) -> impl Iterator<Item = (&Key, &str, u32, &str)> {
        let aside = self.of.iter().filter(|(_, silence)| silence.stands_aside());
        aside.map(|(key, one)| (key, one.stream.as_str(), one.tries, one.words.as_str()))
    }

    /// This message was sent, and no answer came; `was_refused` before.
    pub(super) fn fell_silent(&mut self, key: Key, stream: &str, words: &str, was_refused: bool) -> Verdict {
        self.clock += 1;
        self.in_vain += 1;
        let before = self.of.remove(&key);
        let tries = before.as_ref().map_or(0, |before| before.tries) + 1;
        let others_answered = before.is_some_and(|before| self.answers > before.seen);
        if self.mute.remove(stream)
            || was_refused
            || (tries >= PATIENT && others_answered && !self.are_in_a_row())
        {
            return Verdict::Refused(refusal(words));
        }
        let (stream, words) = (stream.to_owned(), words.to_owned());
        let silence = Silence { stream, tries, seen: self.answers, is_called: false, at: self.clock, words };
        let verdict = if silence.stands_aside() { Verdict::Aside } else { Verdict::Away };
        self.of.insert(key, silence);
        verdict
    }

    /// Whether a message may be sent in the order of the outbox.
    pub(super) fn lets_go(&self, key: &Key) -> bool {
        match self.of.get(key) {
            Some(silence) => !silence.stands_aside() || self.answers > silence.seen,
            None => true,
        }
    }

    /// Whether so many stand aside unanswered that no others are tried.
    pub(super) fn are_too_many(&self) -> bool {
        let unanswered = |silence: &&Silence| silence.stands_aside() && silence.seen == self.answers;
        self.of.len() >= MOST && self.of.values().filter(unanswered).count() >= MOST
    }

    /// Why the receiver counts as away, though others than the silent ones may go: nothing was answered since.
    pub(super) fn words(&self) -> Option<String> {
        let silence = self.of.values().find(|one| one.stands_aside() && one.seen == self.answers)?;
        Some(silence.words.clone())
    }

    /// Whose turn it is once all others had theirs.
    pub(super) fn turn(&mut self) -> Turn {
        let mut has_called = false;
        let answers = self.answers;
        for silence in self.of.values_mut().filter(|one| one.stands_aside() && one.seen < answers) {
            // Once: one that is nowhere to be found would be called without end.
            has_called |= !std::mem::replace(&mut silence.is_called, true);
        }
        if has_called {
            return Turn::All;
        }
        let aside = self.of.iter().filter(|(_, silence)| silence.stands_aside());
        match aside.min_by_key(|(_, silence)| silence.at) {
            Some((key, silence)) => Turn::One(*key, silence.words.clone()),
            None => Turn::Nobody,
        }
    }
}

/// How such a message is held.
pub(super) fn refusal(words: &str) -> Refusal {
    let words = format!("no answer that can be understood ({words}), while others are answered");
    Refusal { words, passes: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = (1, 0);
    const B: Key = (2, 0);

    fn silent(silences: &mut Silences, key: Key, times: u32) -> Verdict {
        let mut last = Verdict::Away;
        for _ in 0..times {
            last = silences.fell_silent(key, "7", "closed", false);
        }
        last
    }

    #[test]
    fn without_an_answer_to_others_nothing_is_held_as_refused() {
        let mut silences = Silences::default();
        assert_eq!(silent(&mut silences, A, 2), Verdict::Away);
        assert_eq!(silent(&mut silences, A, 50), Verdict::Aside);
        assert_eq!(silent(&mut silences, B, 3), Verdict::Aside);
        assert!(!silences.lets_go(&A) && silences.words().is_some());
        assert_eq!(silences.turn(), Turn::One(A, "closed".to_owned()), "the one that was tried longest ago");
        silent(&mut silences, A, 1);
        assert_eq!(silences.turn(), Turn::One(B, "closed".to_owned()));
    }

    #[test]
    fn it_is_held_if_it_is_silent_again_after_another_was_answered() {
        let mut silences = Silences::default();
        silent(&mut silences, A, 3);
        silences.answered();
        assert!(silences.lets_go(&A) && silences.words().is_none());
        assert_eq!(silences.turn(), Turn::All, "it is tried again before it is held");
        assert_eq!(silences.turn(), Turn::One(A, "closed".to_owned()), "and called once only");
        assert!(matches!(silent(&mut silences, A, 1), Verdict::Refused(_)));
        assert_eq!(silences.turn(), Turn::Nobody);
    }

    #[test]
    fn of_many_that_stand_aside_no_more_are_made() {
        let mut silences = Silences::default();
        for sequence in 0..MOST as u64 {
            assert!(!silences.are_too_many());
            silent(&mut silences, (sequence, 0), PATIENT);
        }
        assert!(silences.are_too_many());
        silences.answered();
        assert!(!silences.are_too_many(), "they are tried again, and then others");
    }
}
