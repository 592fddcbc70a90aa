//! Where a document is that another repository keeps: what a reader in FHIR is told (`attachment.url`).

use xds::{DocumentEntry, Identifier};

/// Stands for the uniqueId in an address.
const UNIQUE_ID: &str = "{uniqueId}";

/// The addresses of repositories that came with no address of their own, by repositoryUniqueId.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places(Vec<(String, String)>);

impl Places {
    /// Reads `OID=https://host/path/{uniqueId}`, one for each repository.
    pub(crate) fn read(lines: &[String]) -> Result<Places, String> {
        let read = |line: &String| {
            let (oid, url) = line.split_once('=')?;
            let (oid, url) = (oid.trim(), url.trim());
            let is_http = url.starts_with("https://") || url.starts_with("http://");
            (xds::identifier::is_oid(oid) && is_http && url.contains(UNIQUE_ID))
                .then(|| (oid.to_owned(), url.to_owned()))
        };
        let places = lines.iter().map(|line| {
            read(line).ok_or_else(|| {
                format!(
                    "domain.repositories: {line:?} is not an OID, =, and an address with {UNIQUE_ID}, e.g. \
                     \"1.2.3=https://repository.example/documents/{UNIQUE_ID}\""
                )
            })
        });
        places.collect::<Result<_, _>>().map(Places)
    }

    /// Where the bytes of an entry are: the configured address of its repository; else the URI it came with, if that is an
    /// address; else its uniqueId as a URN, which names the bytes truly and leads nowhere.
    pub(crate) fn url(&self, entry: &DocumentEntry) -> String {
        let repository = entry.repository_unique_id.as_deref().unwrap_or_default();
        let unique_id = xds::identifier::unique_id_text(&entry.unique_id);
        if let Some((_, address)) = self.0.iter().find(|(oid, _)| oid == repository) {
            let encoded =
                percent_encoding::utf8_percent_encode(&unique_id, percent_encoding::NON_ALPHANUMERIC);
            return address.replace(UNIQUE_ID, &encoded.to_string().replace("%2E", "."));
        }
        let is_address = |uri: &&String| {
            url::Url::parse(uri)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.path().len() > 1)
        };
        match entry.uri.as_ref().filter(is_address) {
            Some(uri) => uri.clone(),
            None => urn(&entry.unique_id, &unique_id),
        }
    }
}

fn urn(unique_id: &Identifier, text: &str) -> String {
    if unique_id.value.starts_with("urn:") {
        return unique_id.value.clone();
    }
    let encoded = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
    format!("urn:ihe:iti:xds:2013:uniqueId:{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uri: Option<&str>) -> DocumentEntry {
        DocumentEntry {
            repository_unique_id: Some("1.2.3".to_owned()),
            uri: uri.map(str::to_owned),
            ..DocumentEntry::new("a", xds::identifier::unique_id_of("1.9.8^x/y"))
        }
    }

    #[test]
    fn a_document_of_another_repository_is_where_the_configuration_says() {
        let line = "1.2.3=https://repository.example/documents/{uniqueId}".to_owned();
        let places = Places::read(&[line]).expect("it is an address");
        assert_eq!(places.url(&entry(None)), "https://repository.example/documents/1.9.8%5Ex%2Fy");
        let uri = "https://elsewhere.example/d/1";
        assert_eq!(Places::default().url(&entry(Some(uri))), uri);
    }

    #[test]
    fn a_document_nobody_says_the_place_of_is_named_truly() {
        for uri in [None, Some("http://"), Some("a.pdf")] {
            let url = Places::default().url(&entry(uri));
            assert!(url.starts_with("urn:"), "{url}");
        }
        let oid = DocumentEntry::new("a", xds::identifier::unique_id_of("1.9.8"));
        assert_eq!(Places::default().url(&oid), "urn:oid:1.9.8");
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        for line in ["1.2.3", "1.2.3=ftp://a/{uniqueId}", "x=https://a/{uniqueId}", "1.2.3=https://a/"] {
            assert!(Places::read(&[line.to_owned()]).is_err(), "{line}");
        }
    }
}
