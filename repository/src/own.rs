//! Who this repository is to those who speak XDS.b: its repositoryUniqueId and its community.

use xds::identifier::is_oid;

use crate::config::DocumentSettings;

/// Characters of the longest repositoryUniqueId (TF-3 4.2.3.2.18).
const LONGEST: usize = 64;

/// Who this repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    /// repositoryUniqueId: an OID without prefix.
    pub(crate) repository: String,
    /// homeCommunityId as an OID without prefix; none: not configured.
    pub(crate) community: Option<String>,
}

impl Own {
    /// As it is configured; `data` is the id of the data directory, a UUID that it was made with. In words, what is no OID.
    pub(crate) fn new(settings: &DocumentSettings, data: &str) -> Result<Own, String> {
        let given = settings.repository_unique_id.trim();
        let repository = if given.is_empty() { made_of(data) } else { bare(given).to_owned() };
        if !is_oid(&repository) || repository.len() > LONGEST {
            return Err(format!(
                "documents.repository_unique_id: {given:?} is no OID of at most {LONGEST} characters, e.g. 1.2.40.0.34.99.1"
            ));
        }
        let given = settings.home_community_id.trim();
        let community = Some(bare(given)).filter(|community| !community.is_empty()).map(str::to_owned);
        match community.as_deref().filter(|community| !is_oid(community)) {
            None => Ok(Own { repository, community }),
            Some(_) => {
                Err(format!("documents.home_community_id: {given:?} is no OID, e.g. urn:oid:1.2.40.0.34.99"))
            }
        }
    }

    /// Whether a request that names this repository means this one.
    pub(crate) fn is_repository(&self, named: &str) -> bool {
        bare(named.trim()) == self.repository
    }

    /// Whether a request that names this community means this one, as far as that is known.
    pub(crate) fn is_community(&self, named: &str) -> bool {
        self.community.as_deref().is_none_or(|own| bare(named.trim()) == own)
    }
}

/// An OID without the prefix people write before it.
fn bare(oid: &str) -> &str {
    let prefix = "urn:oid:";
    match oid.get(..prefix.len()) {
        Some(head) if head.eq_ignore_ascii_case(prefix) => &oid[prefix.len()..],
        Some(_) | None => oid,
    }
}

/// An OID made of a UUID (ITU-T X.667: the arc 2.25).
fn made_of(uuid: &str) -> String {
    let number = uuid::Uuid::try_parse(uuid).map(|uuid| uuid.as_u128()).unwrap_or_default();
    format!("2.25.{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_the_oid_it_was_given_or_that_of_its_data_directory() {
        let data = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        let own = Own::new(&DocumentSettings::default(), data).expect("the default holds");
        assert_eq!(own.repository, "2.25.329800735698586629295641978511506172918");
        assert!(own.is_community("urn:oid:1.2.3"));
        let settings = DocumentSettings {
            repository_unique_id: "urn:oid:1.2.3".to_owned(),
            home_community_id: "urn:oid:1.2.4".to_owned(),
            ..DocumentSettings::default()
        };
        let own = Own::new(&settings, data).expect("two OIDs");
        assert!(
            own.is_repository(" 1.2.3") && own.is_repository("URN:OID:1.2.3") && !own.is_repository("1.2.4")
        );
        assert!(own.is_community("urn:oid:1.2.4") && !own.is_community("urn:oid:1.2.5"));
        let settings = DocumentSettings { repository_unique_id: "main".to_owned(), ..settings };
        assert!(Own::new(&settings, data).unwrap_err().contains("documents.repository_unique_id"));
    }
}
