//! The bytes of documents. They follow from a seed, so that nobody has to keep them to compare with.

use sha2::{Digest as _, Sha256};

use testkit::Dice;

/// Which bytes: everything about a document that is not in its bytes' recipe is in its submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) seed: u64,
    pub(super) size: usize,
}

impl Content {
    /// The bytes, the same each time.
    pub(super) fn bytes(self) -> Vec<u8> {
        let mut dice = Dice::new(self.seed);
        let mut bytes = Vec::with_capacity(self.size + 8);
        while bytes.len() < self.size {
            bytes.extend_from_slice(&dice.draw().to_le_bytes());
        }
        bytes.truncate(self.size);
        bytes
    }
}

/// SHA-256, hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A size as documents have it: mostly small, some too large for the journal, now and then one of many mebibytes.
pub(super) fn size(dice: &mut Dice) -> usize {
    let size = match dice.below(1000) {
        0..700 => dice.between(1, 4 << 10),
        700..900 => dice.between(4 << 10, 64 << 10),
        900..965 => dice.between(64 << 10, 1 << 20),
        965..997 => dice.between(1 << 20, 3 << 20),
        _ => dice.between(3 << 20, 20 << 20),
    };
    usize::try_from(size).expect("20 MiB fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_follow_from_the_seed() {
        let content = Content { seed: 3, size: 1001 };
        assert_eq!(content.bytes().len(), 1001);
        assert_eq!(content.bytes(), content.bytes());
        assert_ne!(content.bytes(), Content { seed: 4, size: 1001 }.bytes());
    }
}
