//! A set of small numbers, a bit for each.

/// The set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn insert(&mut self, number: u32) {
        let word = number as usize / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    pub(crate) fn remove(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    pub(crate) fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Leaves what is in the other one too.
    pub(crate) fn keep(&mut self, other: &Bits) {
        self.0.truncate(other.0.len());
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }

    /// Takes out what is in the other one.
    pub(crate) fn take_out(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
    }

    /// In rising order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0u32..).step_by(64).zip(&self.0).flat_map(|(first, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(first + bit)
            })
        })
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Bits {
        let mut bits = Bits::default();
        numbers.into_iter().for_each(|number| bits.insert(number));
        bits
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    proptest::proptest! {
        #[test]
        fn it_is_a_set(one in proptest::collection::btree_set(0u32..300, 0..40), other in proptest::collection::btree_set(0u32..300, 0..40)) {
            let (left, right): (Bits, Bits) = (one.iter().copied().collect(), other.iter().copied().collect());
            let set = |bits: &Bits| bits.iter().collect::<BTreeSet<u32>>();
            proptest::prop_assert_eq!(set(&left), one.clone());
            proptest::prop_assert_eq!(left.count(), one.len() as u64);
            let (mut both, mut only) = (left.clone(), left.clone());
            both.keep(&right);
            only.take_out(&right);
            proptest::prop_assert_eq!(set(&both), &one & &other);
            proptest::prop_assert_eq!(set(&only), &one - &other);
            proptest::prop_assert!((0..300).all(|number| left.has(number) == one.contains(&number)));
        }
    }
}
