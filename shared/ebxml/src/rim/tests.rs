//! Own messages: what is wrong in them is said all at once, each with its place, and what nobody knows comes back.

use xds::plan::Trigger;
use xds::{AssociationType, Availability, EntryUuid, Findings, ObjectRef, Profile, Rule, Submission};

use super::{Column, Standing, read_objects, read_submission, read_update, write_document, write_submission};
use crate::element::Element;
use crate::names::namespace::{LCM, RIM};
use crate::reader::{self, Limits};
use crate::writer::Writer;

fn slot(name: &str, value: &str) -> String {
    format!("<Slot name=\"{name}\"><ValueList><Value>{value}</Value></ValueList></Slot>")
}

fn code(scheme: &str, code: &str) -> String {
    let system = slot("codingScheme", "1.2.3.4");
    format!(
        "<Classification id=\"c\" classificationScheme=\"urn:uuid:{scheme}\" classifiedObject=\"x\" nodeRepresentation=\"{code}\">\
         {system}<Name><LocalizedString value=\"The {code}\"/></Name></Classification>"
    )
}

fn identifier(scheme: &str, value: &str) -> String {
    format!(
        "<ExternalIdentifier id=\"e\" identificationScheme=\"urn:uuid:{scheme}\" registryObject=\"x\" value=\"{value}\"/>"
    )
}

const HASH: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

/// A document entry with all that a registration demands.
fn document(id: &str) -> String {
    let parts = [
        slot("creationTime", "20200201"),
        slot("hash", HASH),
        slot("size", "0"),
        slot("languageCode", "de-CH"),
        slot("repositoryUniqueId", "1.2.3.9"),
        slot("sourcePatientId", "s-1^^^&amp;1.2.3.5&amp;ISO"),
        code("41a5887f-8865-4c09-adf7-e362475b143a", "class"),
        code("f4f85eac-e6cb-4883-b524-f2705394840f", "N"),
        code("a09d5840-386c-46f2-b5ad-9c3699a4309d", "format"),
        code("f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "facility"),
        code("cccf5598-8b07-4b77-a05e-ae952c785ead", "setting"),
        code("f0306f51-975f-434e-a61c-c59651d33983", "type"),
        identifier("58a6f841-87b3-4a3e-92fd-a8ffeff98427", "p-1^^^&amp;1.2.3.6&amp;ISO"),
        identifier("2e82c1f6-a085-4c72-9da3-8640a32e42ab", "1.2.3.7"),
    ];
    format!(
        "<ExtrinsicObject id=\"{id}\" mimeType=\"text/plain\" objectType=\"urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1\">{}</ExtrinsicObject>",
        parts.concat()
    )
}

fn set() -> String {
    let parts = [
        slot("submissionTime", "20200202101112"),
        code("aa543740-bdda-424e-8c96-df4873be8500", "content"),
        identifier("6b5aea1a-874d-4603-a4bc-96a0a7b38446", "p-1^^^&amp;1.2.3.6&amp;ISO"),
        identifier("554ac39e-e3fe-47fe-b233-965d2a147832", "1.2.3.8"),
        identifier("96fdda7c-d067-4183-912e-bf5ee74998a8", "1.2.3.10"),
    ];
    let node = "<Classification id=\"n\" classifiedObject=\"Set\" classificationNode=\"urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd\"/>";
    format!("<RegistryPackage id=\"Set\">{}</RegistryPackage>{node}", parts.concat())
}

fn folder(id: &str) -> String {
    let parts = [
        "<Name><LocalizedString value=\"A folder\"/></Name>".to_owned(),
        format!(
            "<Classification id=\"n\" classifiedObject=\"{id}\" classificationNode=\"urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2\"/>"
        ),
        code("1ba97051-7806-41a8-a48b-8fce7af683c5", "list"),
        identifier("f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a", "p-1^^^&amp;1.2.3.6&amp;ISO"),
        identifier("75df8f67-9973-4fbe-a900-df66cefecc5a", "1.2.3.11"),
    ];
    format!("<RegistryPackage id=\"{id}\" lid=\"urn:uuid:{LOGICAL}\">{}</RegistryPackage>", parts.concat())
}

const LOGICAL: &str = "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0";

fn association(id: &str, kind: &str, source: &str, target: &str, slots: &str) -> String {
    format!(
        "<Association id=\"{id}\" associationType=\"{kind}\" sourceObject=\"{source}\" targetObject=\"{target}\">{slots}</Association>"
    )
}

const HAS_MEMBER: &str = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember";

fn member(id: &str, source: &str, target: &str) -> String {
    association(id, HAS_MEMBER, source, target, "")
}

fn request(objects: &[String]) -> Element {
    let xml = format!(
        "<l:SubmitObjectsRequest xmlns:l=\"{LCM}\"><RegistryObjectList xmlns=\"{RIM}\">{}</RegistryObjectList></l:SubmitObjectsRequest>",
        objects.concat()
    );
    reader::read(xml.as_bytes(), &Limits::default()).unwrap()
}

fn submitted(objects: &[String]) -> (Submission, Findings) {
    read_submission(&request(objects), Column::Repository)
}

/// A set with one document, in which `from` reads `to`.
fn changed(from: &str, to: &str) -> (Submission, Findings) {
    let whole = [document("Document01"), set(), member("m", "Set", "Document01")].concat();
    assert!(whole.contains(from), "{from}");
    submitted(&[whole.replacen(from, to, 1)])
}

fn told(findings: &Findings) -> Vec<(Rule, &str, &str)> {
    let told = |one: &xds::Finding| (one.rule, one.at.attribute.unwrap_or_default());
    findings.iter().map(|one| (told(one).0, told(one).1, one.at.path.as_str())).collect()
}

#[test]
fn a_sound_submission_is_read_without_a_word() {
    let (submission, findings) = changed("Document01", "Document01");
    assert_eq!(told(&findings), []);
    let entry = &submission.documents[0];
    assert_eq!(submission.profile, Profile::Comprehensive);
    assert_eq!((entry.symbol.as_str(), &entry.entry_uuid), ("Document01", &None));
    assert_eq!(entry.unique_id.value, "urn:oid:1.2.3.7");
    assert_eq!(entry.patient.identifier.as_ref().unwrap().system, "urn:oid:1.2.3.6");
    assert_eq!(entry.class_codes[0].system, "urn:oid:1.2.3.4");
    assert_eq!(submission.place("Document01"), "ExtrinsicObject[@id='Document01']");
    assert_eq!(submission.associations[0].target, ObjectRef::Symbol("Document01".to_owned()));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_where() {
    const AT: &str = "ExtrinsicObject[@id='Document01']";
    let cases: &[(&str, &str, Rule, &str, &str)] = &[
        (
            "20200201",
            "2020-02-01",
            Rule::MetadataInvalid,
            "DocumentEntry.creationTime",
            "/Slot[@name='creationTime']",
        ),
        (HASH, "abc", Rule::MetadataInvalid, "DocumentEntry.hash", "/Slot[@name='hash']"),
        (
            "<Value>0</Value>",
            "<Value>-1</Value>",
            Rule::MetadataInvalid,
            "DocumentEntry.size",
            "/Slot[@name='size']",
        ),
        (
            "de-CH",
            "a language",
            Rule::MetadataInvalid,
            "DocumentEntry.languageCode",
            "/Slot[@name='languageCode']",
        ),
        (
            "1.2.3.9",
            "here",
            Rule::MetadataInvalid,
            "DocumentEntry.repositoryUniqueId",
            "/Slot[@name='repositoryUniqueId']",
        ),
        (
            "s-1^^^&amp;1.2.3.5&amp;ISO",
            "s-1",
            Rule::MetadataInvalid,
            "DocumentEntry.sourcePatientId",
            "/Slot[@name='sourcePatientId']",
        ),
        ("text/plain", "", Rule::MetadataRequired, "DocumentEntry.mimeType", "/@mimeType"),
        (
            "text/plain",
            "text/plain&#13;&#10;X: y",
            Rule::MetadataInvalid,
            "DocumentEntry.mimeType",
            "/@mimeType",
        ),
        (
            "<Slot name=\"hash\">",
            "<Slot name=\"urn:x:hash\">",
            Rule::MetadataRequired,
            "DocumentEntry.hash",
            "/Slot[@name='hash']",
        ),
        (
            "<Slot name=\"hash\">",
            "<Slot name=\"foo\"/><Slot name=\"hash\">",
            Rule::MetadataInvalid,
            "",
            "/Slot[@name='foo']",
        ),
        (
            "<Slot name=\"hash\">",
            "<Slot name=\"urn:ihe:x\"/><Slot name=\"hash\">",
            Rule::MetadataInvalid,
            "",
            "/Slot[@name='urn:ihe:x']",
        ),
        (
            "<Slot name=\"hash\">",
            "<Slot name=\"hash\"/><Slot name=\"hash\">",
            Rule::MetadataInvalid,
            "",
            "/Slot[@name='hash']",
        ),
        (
            "<Slot name=\"hash\">",
            "<ExternalLink/><Slot name=\"hash\">",
            Rule::MetadataInvalid,
            "",
            "/ExternalLink",
        ),
        (
            "7edca82f-054d-47f2-a032-9b2a5b5186c1",
            "34268e47-fdf5-41a6-ba33-82133c465248",
            Rule::MetadataInvalid,
            "DocumentEntry.objectType",
            "/@objectType",
        ),
        (
            "41a5887f-8865-4c09-adf7-e362475b143a",
            "f0306f51-975f-434e-a61c-c59651d33983",
            Rule::MetadataInvalid,
            "DocumentEntry.typeCode",
            "/Classification[@classificationScheme='urn:uuid:f0306f51-975f-434e-a61c-c59651d33983']",
        ),
    ];
    for (from, to, rule, attribute, place) in cases {
        let (_, findings) = changed(from, to);
        let path = format!("{AT}{place}");
        assert!(told(&findings).contains(&(*rule, attribute, &path)), "{from} -> {to}: {findings:?}");
    }
    let whole = [document("Document01"), set(), member("m", "Set", "Document01")].concat();
    let (_, findings) = submitted(&[whole.replace("de-CH", "a language").replace(HASH, "abc")]);
    assert_eq!(findings.len(), 2);
}

#[test]
fn a_submission_has_one_set_and_no_package_that_is_nothing() {
    let (_, findings) = submitted(&[document("Document01")]);
    assert_eq!(told(&findings)[0].0, Rule::MetadataRequired);
    let (_, findings) = submitted(&[set(), "<RegistryPackage id=\"Other\"/>".to_owned()]);
    assert_eq!(told(&findings)[0].2, "RegistryPackage[@id='Other']/Classification");
    let (_, findings) = submitted(&[set(), document("Document01"), document("Document01")]);
    assert_eq!(told(&findings)[0].1, "entryUUID");
    let empty =
        reader::read(format!("<l:SubmitObjectsRequest xmlns:l=\"{LCM}\"/>").as_bytes(), &Limits::default());
    let (_, findings) = read_submission(&empty.unwrap(), Column::Repository);
    assert_eq!(told(&findings)[0].2, "SubmitObjectsRequest/RegistryObjectList");
}

#[test]
fn references_are_resolved_to_what_they_name() {
    let id = "urn:uuid:4C5CA0E4-14D3-4B1D-9C4E-5F2C4A1D7B6A";
    let replaced = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0";
    let objects = [
        document(id),
        set(),
        folder("Folder01"),
        member("m1", "Set", &id.to_lowercase()),
        member("m2", "Folder01", id),
        member("m3", "Set", "m2"),
        association("r", "urn:ihe:iti:2007:AssociationType:RPLC", id, replaced, ""),
        member("m4", "Set", "nobody"),
    ];
    let (submission, findings) = submitted(&objects);
    assert_eq!(told(&findings), []);
    let symbol = |text: &str| ObjectRef::Symbol(text.to_owned());
    let ends: Vec<_> = submission.associations.iter().map(|one| (&one.source, &one.target)).collect();
    assert_eq!(ends[0], (&symbol("Set"), &symbol(id)));
    assert_eq!(ends[2], (&symbol("Set"), &symbol("m2")));
    assert_eq!(ends[3], (&symbol(id), &ObjectRef::Registered(EntryUuid::parse(replaced).unwrap())));
    assert_eq!(ends[4].1, &symbol("nobody"));
    assert_eq!(submission.documents[0].entry_uuid, EntryUuid::parse(id));
}

#[test]
fn the_status_of_a_membership_says_truly_whether_the_document_came_along() {
    let reference = slot("SubmissionSetStatus", "Reference");
    let objects =
        [document("Document01"), set(), association("m", HAS_MEMBER, "Set", "Document01", &reference)];
    let (_, findings) = submitted(&objects);
    assert_eq!(told(&findings)[0].2, "Association[@id='m']/Slot[@name='SubmissionSetStatus']");
    let registered = format!("urn:uuid:{LOGICAL}");
    let (_, findings) = submitted(&[set(), association("m", HAS_MEMBER, "Set", &registered, &reference)]);
    assert_eq!(told(&findings), []);
}

#[test]
fn limited_metadata_may_lack_what_others_must_have() {
    let node = "<Classification id=\"l\" classifiedObject=\"Set\" classificationNode=\"urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707\"/>";
    let entry = document("Document01")
        .replace("41a5887f-8865-4c09-adf7-e362475b143a", "00000000-0000-4000-8000-000000000000");
    let objects = [entry, set(), member("m", "Set", "Document01")];
    let (_, findings) = submitted(&objects);
    assert_eq!(told(&findings)[0].1, "DocumentEntry.classCode");
    let objects = [objects.concat(), node.to_owned()];
    let (submission, findings) = submitted(&objects);
    assert_eq!(told(&findings), []);
    assert_eq!(submission.profile, Profile::Minimal);
    assert!(submission.submission_set.limited_metadata);
}

#[test]
fn an_on_demand_entry_has_no_bytes() {
    let entry = document("Document01")
        .replace("7edca82f-054d-47f2-a032-9b2a5b5186c1", "34268e47-fdf5-41a6-ba33-82133c465248");
    let request = request(&[entry, set(), member("m", "Set", "Document01")]);
    let (_, findings) = read_submission(&request, Column::OnDemand);
    let attributes: Vec<_> = told(&findings).iter().map(|told| told.1).collect();
    assert_eq!(attributes, ["DocumentEntry.creationTime", "DocumentEntry.hash", "DocumentEntry.size"]);
}

#[test]
fn a_metadata_update_says_what_it_asks_for() {
    let entry = document("Document01").replace("mimeType", &format!("lid=\"urn:uuid:{LOGICAL}\" mimeType"));
    let registered = format!("urn:uuid:{LOGICAL}");
    let statuses = [
        slot("OriginalStatus", "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"),
        slot("NewStatus", "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"),
    ];
    let update = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus";
    let objects = [
        entry,
        set(),
        folder("Folder01"),
        association("m1", HAS_MEMBER, "Set", "Document01", &slot("PreviousVersion", "3")),
        association("m2", HAS_MEMBER, "Set", "Folder01", &slot("AssociationPropagation", "no")),
        association("u", update, "Set", &registered, &statuses.concat()),
        association("s", "urn:ihe:iti:2010:AssociationType:SubmitAssociation", "Set", "a", ""),
        association("a", "urn:ihe:iti:2007:AssociationType:APND", &registered, &registered, ""),
    ];
    let (read, findings) = read_update(&request(&objects));
    assert_eq!(told(&findings), []);
    assert_eq!(read.submission.associations.len(), 3);
    assert_eq!(read.submission.associations[2].kind, AssociationType::Append);
    let [
        Trigger::Document(entry),
        Trigger::Folder(folder),
        Trigger::Status { target, original, new, .. },
        Trigger::Submit { association, .. },
    ] = read.triggers.as_slice()
    else {
        panic!("{:?}", read.triggers)
    };
    assert_eq!((entry.previous_version, entry.propagate), (Some(3), true));
    assert_eq!(entry.logical_id, EntryUuid::parse(LOGICAL));
    assert_eq!((folder.previous_version, folder.propagate), (None, false));
    assert_eq!(
        (target.as_str(), *original, *new),
        (LOGICAL, Some(Availability::Approved), Some(Availability::Deprecated))
    );
    assert_eq!(association, "a");
    let (_, findings) = submitted(&objects);
    assert!(told(&findings).iter().any(|told| told.1 == "Association.associationType"));
}

#[test]
fn what_nobody_knows_comes_back_in_its_place() {
    let more = [
        "<Slot name=\"urn:x:extra\" slotType=\"t\"><ValueList><Value>a &amp; b</Value><Value/></ValueList></Slot>",
        "<Name><LocalizedString xml:lang=\"de\" value=\"Befund\"/><LocalizedString xml:lang=\"fr\" value=\"R&amp;sultat\"/></Name>",
        "<Classification id=\"k\" classificationScheme=\"urn:uuid:11111111-0000-4000-8000-000000000000\" classifiedObject=\"x\" nodeRepresentation=\"own\">\
           <Slot name=\"codingScheme\"><ValueList><Value>mine</Value></ValueList></Slot></Classification>",
        "<Classification id=\"a\" classificationScheme=\"urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d\" classifiedObject=\"x\" nodeRepresentation=\"\">\
           <Slot name=\"authorPerson\"><ValueList><Value>^Welby^Marcus</Value></ValueList></Slot>\
           <Slot name=\"authorShoeSize\"><ValueList><Value>43</Value></ValueList></Slot></Classification>",
        "<ExternalIdentifier id=\"i\" identificationScheme=\"urn:uuid:22222222-0000-4000-8000-000000000000\" registryObject=\"x\" value=\"7\">\
           <Name><LocalizedString value=\"Own number\"/></Name></ExternalIdentifier>",
    ];
    let (submission, findings) =
        changed("<Slot name=\"size\">", &format!("{}<Slot name=\"size\">", more.concat()));
    assert_eq!(told(&findings), []);
    let entry = &submission.documents[0];
    assert_eq!(entry.title.as_deref(), Some("Befund"));
    assert_eq!(entry.extra[0].values, ["a & b", ""]);
    assert_eq!(entry.authors[0].person.as_deref(), Some("^Welby^Marcus"));

    let mut out = Writer::default();
    write_submission(&mut out, &submission).unwrap();
    let written = out.finish();
    let text = String::from_utf8(written.clone()).unwrap();
    for part in [
        "xml:lang=\"fr\" value=\"R&amp;sultat\"",
        "nodeRepresentation=\"own\"",
        "<rim:Value>43</rim:Value>",
        "\"Own number\"",
    ] {
        assert_eq!(text.matches(part).count(), 1, "{part}: {text}");
    }
    assert_eq!(text.matches("93606bcf-9494-43ec-9b4e-a7748d1a838d").count(), 1, "the author is written once");
    let (again, findings) =
        read_submission(&reader::read(&written, &Limits::default()).unwrap(), Column::Repository);
    assert_eq!(told(&findings), []);
    assert_eq!(again.documents, submission.documents);

    let mut renamed = submission.documents[0].clone();
    renamed.title = Some("Changed".to_owned());
    let mut out = Writer::default();
    write_document(&mut out, &renamed, &Standing::default());
    let text = String::from_utf8(out.finish()).unwrap();
    assert!(
        text.contains("\"Changed\"") && !text.contains("Befund"),
        "a title that was changed since is the title"
    );
}

#[test]
fn what_a_registry_answers_is_read_with_its_standing() {
    let (submission, _) = changed("Document01", "urn:uuid:4c5ca0e4-14d3-4b1d-9c4e-5f2c4a1d7b6a");
    let standing = Standing {
        status: Some(Availability::Deprecated),
        lid: Some(format!("urn:uuid:{LOGICAL}")),
        version: Some(2),
        ..Standing::default()
    };
    let mut out = Writer::default();
    out.start("rim:RegistryObjectList").attribute("xmlns:rim", RIM);
    write_document(&mut out, &submission.documents[0], &standing);
    super::write_object_reference(&mut out, "urn:uuid:x", Some("urn:oid:1.2"));
    let list = reader::read(&out.finish(), &Limits::default()).unwrap();
    let (objects, findings) = read_objects(&list);
    assert_eq!(told(&findings), []);
    assert_eq!(objects.documents[0].standing, standing);
    assert_eq!(objects.documents[0].object.availability, Availability::Deprecated);
    assert_eq!(objects.references, [("urn:uuid:x".to_owned(), Some("urn:oid:1.2".to_owned()))]);
    let parts = list.children[0].children.iter().filter_map(|part| part.attribute("id"));
    let ids: Vec<_> = parts.collect();
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!((once.len(), once.iter().all(|id| EntryUuid::parse(id).is_some())), (ids.len(), true));
}

#[test]
fn an_object_of_the_other_face_gets_ids_that_are_no_uuids_by_accident() {
    let (mut submission, _) = changed("Document01", "Document01");
    let url = "urn:uuid:4c5ca0e4-14d3-4b1d-9c4e-5f2c4a1d7b6a";
    submission.documents[0].symbol = url.to_owned();
    submission.associations[0].target = ObjectRef::Symbol(url.to_owned());
    let mut out = Writer::default();
    let ids = write_submission(&mut out, &submission).unwrap();
    assert_eq!(ids.of_symbol(url), Some("Document01"));
    assert!(!String::from_utf8(out.finish()).unwrap().contains(url));
}

#[test]
fn a_request_of_very_many_objects_is_refused_in_a_word() {
    let many = vec!["<RegistryPackage id='p'/>".to_owned(); 5_001];
    let (_, findings) = submitted(&many);
    assert!(findings[0].text.contains("5000"), "{findings:?}");
    let (_, findings) = submitted(&many[..2_000]);
    assert_eq!(findings.len(), 1_000);
    assert!(findings.iter().any(|one| one.severity == xds::Severity::Error));
}

#[test]
fn an_id_of_any_length_is_not_repeated_in_the_place_of_each_finding() {
    let id = "x".repeat(1 << 20);
    let (_, findings) =
        submitted(&[format!("<ExtrinsicObject id='{id}'>{}</ExtrinsicObject>", "<a/>".repeat(500))]);
    let told: usize = findings.iter().map(|one| one.at.path.len() + one.text.len()).sum();
    assert!(findings[0].text.contains("256") && told < 2_000, "{told}");
}

#[test]
fn the_cost_of_slots_and_classifications_grows_as_they_do() {
    let slots: String = (0..60_000).map(|n| format!("<Slot name='urn:x:{n}'/>")).collect();
    let started = std::time::Instant::now();
    let (_, findings) = submitted(&[format!("<ExtrinsicObject id='d'>{slots}</ExtrinsicObject>")]);
    assert!(!findings.is_empty());
    let packages = (0..2_400).map(|n| format!("<RegistryPackage id='p{n}'/>"));
    let beside = (0..2_400).map(|n| format!("<Classification classifiedObject='q{n}'/>"));
    let _ = submitted(&packages.chain(beside).collect::<Vec<_>>());
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}
