//! Whether a batch may be written: versions and claims, judged against everything before it.

use std::collections::HashMap;

use crate::batch::{Claim, Put};
use crate::error::{Error, Lost};
use crate::index::keys;
use crate::index::values::Pointer;
use crate::index::view::Lookup;
use crate::record::Version;

/// The preconditions of a batch.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    puts: Vec<(crate::record::Kind, String, Version)>,
    claims: Vec<Claim>,
    releases: Vec<String>,
}

impl Conditions {
    pub(crate) fn new(puts: &[Put], claims: &[Claim], releases: &[String]) -> Conditions {
        Conditions {
            puts: puts.iter().map(|put| (put.kind, put.id.clone(), put.version)).collect(),
            claims: claims.to_vec(),
            releases: releases.to_vec(),
        }
    }

    /// Refuses with `Lost` at the first precondition that does not hold.
    pub(crate) fn judge(&self, index: &impl Lookup) -> Result<(), Error> {
        self.judge_claims(index)?;
        self.judge_versions(index)
    }

    fn judge_claims(&self, index: &impl Lookup) -> Result<(), Error> {
        let mut made: HashMap<&str, &[u8]> = HashMap::new();
        for claim in &self.claims {
            let held = match made.get(claim.name.as_str()) {
                Some(value) => Some(bytes::Bytes::copy_from_slice(value)),
                None if self.releases.contains(&claim.name) => None,
                None => index.get(&keys::claim(&claim.name))?,
            };
            match held {
                Some(holder) if holder != claim.value => {
                    return Err(Error::Lost(Lost::Claim {
                        name: claim.name.clone(),
                        holder: holder.to_vec(),
                    }));
                }
                _ => {
                    made.insert(&claim.name, &claim.value);
                }
            }
        }
        Ok(())
    }

    fn judge_versions(&self, index: &impl Lookup) -> Result<(), Error> {
        let mut made: HashMap<(&str, &str), Version> = HashMap::new();
        for (kind, id, version) in &self.puts {
            let current = match made.get(&(kind.0, id.as_str())) {
                Some(version) => *version,
                None => match index.get(&keys::pointer(kind.0.as_bytes(), id.as_bytes()))? {
                    Some(found) => Pointer::from_bytes(&found)?.version,
                    None => 0,
                },
            };
            if *version != current + 1 {
                return Err(Error::Lost(Lost::Version {
                    kind: *kind,
                    id: id.clone(),
                    expected: version.saturating_sub(1),
                    current,
                }));
            }
            made.insert((kind.0, id), *version);
        }
        Ok(())
    }
}
