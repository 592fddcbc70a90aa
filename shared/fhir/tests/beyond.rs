//! What XDS says and FHIR has no word for: shown to nobody, and kept by an update over FHIR. That all of it survives the trip to
//! the registry is tested where both codecs are seen (`registry/tests/faces`).

use xds::hl7::dtm;
use xds::{Author, Availability, DocumentEntry, EntryKind, EntryUuid, Profile, Slot};

#[test]
fn an_on_demand_entry_is_one_in_fhir_too() {
    let mut entry = DocumentEntry::new("Document01", xds::identifier::unique_id_of("1.2.3"));
    entry.kind = EntryKind::OnDemand;
    entry.availability = Availability::Approved;
    entry.mime_type = "text/xml".to_owned();
    let stamp = fhir::document_reference::Stamp { version: 1, updated: 0 };
    let written = fhir::document_reference::write(&entry, stamp, &[]);
    let resource: serde_json::Value = serde_json::from_slice(&written).unwrap();
    let read = fhir::document_reference::read(&resource, "x", Profile::Minimal, &xds::Place::whole());
    assert!(read.is_err(), "it has no url");
    assert_eq!(resource["extension"][0]["valueUri"], "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248");
}

/// An entry that came by XDS.b, as the registry keeps and shows it.
fn registered() -> (DocumentEntry, serde_json::Value) {
    let mut entry = DocumentEntry::new("Document01", xds::identifier::unique_id_of("1.2.3"));
    entry.entry_uuid = Some(EntryUuid::from(uuid::Uuid::from_u128(1)));
    entry.mime_type = "text/plain".to_owned();
    entry.url = "http://repository.example/documents/1".to_owned();
    entry.title = Some("A letter".to_owned());
    entry.creation_time = dtm::read("2004122523");
    entry.authors =
        vec![Author { person: Some("7^Welby^Marcus^^^Dr.^MD^^&1.2&ISO^L".to_owned()), ..Author::default() }];
    entry.extra = vec![Slot { name: "urn:x:y".to_owned(), kind: None, values: vec!["z".to_owned()] }];
    entry.uri = Some("letter.txt".to_owned());
    entry.carried.ebxml = Some("<rim:VersionInfo versionName=\"1\"/>".to_owned());
    xds::hl7::fill_document(&mut entry);
    let stamp = fhir::document_reference::Stamp { version: 1, updated: 0 };
    let shown = fhir::document_reference::write(&entry, stamp, &[]);
    (entry, serde_json::from_slice(&shown).expect("what is written is JSON"))
}

#[test]
fn what_our_actors_tell_each_other_is_shown_to_nobody() {
    let (_, shown) = registered();
    assert!(!shown.to_string().contains("xds-metadata"), "{shown}");
    assert_eq!(shown["contained"][0]["name"][0]["family"], "Welby");
}

#[test]
fn an_update_over_fhir_keeps_what_fhir_does_not_show() {
    let (entry, shown) = registered();
    let updated = |resource: &serde_json::Value| {
        let zone = jiff::tz::TimeZone::UTC;
        let mut new =
            fhir::update::read_document(resource, Profile::Minimal, &zone).expect("it is sound").entry;
        fhir::update::keep_document(&entry, &shown, &zone, &mut new);
        new
    };
    let mut other = shown.clone();
    other["content"][0]["attachment"]["title"] = "Another letter".into();
    let new = updated(&other);
    assert_eq!(new.title.as_deref(), Some("Another letter"));
    assert_eq!((&new.authors, &new.extra, &new.uri), (&entry.authors, &entry.extra, &entry.uri));
    assert_eq!((&new.creation_time, &new.carried.ebxml), (&entry.creation_time, &entry.carried.ebxml));
    // What is said otherwise now is what the update says.
    other["contained"][0]["name"][0]["family"] = "Smith".into();
    assert_eq!(updated(&other).authors[0].person.as_deref(), Some("7^Smith^Marcus^^MD^Dr.^^^&1.2&ISO"));
}
