//! A Bundle that comes in parts: text of ours, and between its pieces resources as they are stored. The same resources are asked
//! for again and again, so what one is in XML is remembered for a while.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use moka::sync::Cache;
use xxhash_rust::xxh3::xxh3_64;

use super::writer;

/// Bytes of memory that may be spent on remembering.
const MEMORY: u64 = 32 << 20;
/// Resources larger than this, in bytes, are written anew each time.
const LARGEST: usize = 64 << 10;

/// A resource in both forms. The JSON is compared before the XML is believed: a check sum alone could be that of another.
struct Known {
    json: Box<[u8]>,
    xml: Bytes,
}

static KNOWN: LazyLock<Cache<u64, Arc<Known>>> = LazyLock::new(|| {
    let weight =
        |_: &u64, known: &Arc<Known>| u32::try_from(known.json.len() + known.xml.len()).unwrap_or(u32::MAX);
    Cache::builder().weigher(weight).max_capacity(MEMORY).build()
});

/// Writes the XML document; none if the parts are not a resource of R4 in JSON.
pub(super) fn write(parts: &[Bytes]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(4 << 10);
    let mut resources = Vec::with_capacity(parts.len() / 2);
    for part in parts {
        if text.ends_with(br#""resource":"#) && part.starts_with(br#"{"resourceType":"#) {
            // A number stands where the resource belongs.
            text.extend_from_slice(resources.len().to_string().as_bytes());
            resources.push(resource(part)?);
        } else {
            text.extend_from_slice(part);
        }
    }
    writer::spliced(&text, &resources)
}

fn resource(json: &Bytes) -> Option<Bytes> {
    // An outcome has the id of its request in it: nobody will ask for it a second time.
    if json.len() > LARGEST || json.starts_with(br#"{"resourceType":"OperationOutcome""#) {
        return writer::fragment(json).map(Bytes::from);
    }
    let sum = xxh3_64(json);
    if let Some(known) = KNOWN.get(&sum).filter(|known| *known.json == **json) {
        return Some(known.xml.clone());
    }
    let xml = Bytes::from(writer::fragment(json)?);
    KNOWN.insert(sum, Arc::new(Known { json: json.to_vec().into(), xml: xml.clone() }));
    Some(xml)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Match, SearchSet, searchset};

    fn parts(titles: &[&str]) -> Vec<Bytes> {
        let found = |title: &&str| {
            Match {
            full_url: "https://r/fhir/DocumentReference/a".to_owned(),
            resource: format!(
                r#"{{"resourceType":"DocumentReference","id":"a","status":"current","description":"{title}"}}"#
            )
            .into(),
            is_match: true,
        }
        };
        let warning = xds::Finding::warning(xds::Rule::UnknownParameter, xds::Place::whole(), "foo");
        let warnings = vec![warning];
        searchset(&SearchSet {
            entries: titles.iter().map(found).collect(),
            warnings,
            ..SearchSet::default()
        })
    }

    #[test]
    fn a_bundle_in_parts_is_the_same_document_as_in_one_piece() {
        for titles in
            [&[][..], &["one", "two & \\\"three\\\""], &["one", "four"], &["one", "two & \\\"three\\\""]]
        {
            let parts = parts(titles);
            let whole = writer::write(&parts.concat(), false);
            assert!(whole.is_some());
            assert_eq!(write(&parts), whole, "{titles:?}");
        }
    }

    #[test]
    fn a_number_in_the_place_of_a_resource_is_no_resource() {
        let bundle = br#"{"resourceType":"Bundle","type":"searchset","entry":[{"resource":0}]}"#;
        assert_eq!(writer::spliced(bundle, &[]), writer::write(bundle, false));
    }
}
