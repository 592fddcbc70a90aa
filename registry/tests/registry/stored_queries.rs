//! Stored queries [ITI-18, ITI-51] over what was registered in FHIR: submitted by one door, found by the other.

use actor::Setup;
use ebxml::Element;
use ebxml::iti18::{self, Response, Returns};
use ebxml::reader;
use ebxml::response::Status;
use registry::{Settings, StoredQuery, UnknownPatient};
use reqwest::Method;
use testkit::Folder;
use xds::query;
use xds::{AssociationType, Availability, ObjectRef};

use crate::world::{World, document, provide, settings};

pub(crate) const APPROVED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
pub(crate) const DEPRECATED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated";
const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";

/// What is asked: names and values.
pub(crate) type Given<'a> = &'a [(&'a str, &'a [&'a str])];

/// A registry with a document, one that replaces it, a folder of both, and one more document.
struct Shelf {
    world: World,
    store: store::Store,
    old: String,
    new: String,
    other: String,
    folder: String,
    /// The set that brought the old document and the folder.
    first: String,
}

pub(crate) fn cx(mrn: &str) -> String {
    format!("{mrn}^^^&1.2.36.146.595.217.0.1&ISO")
}

impl World {
    /// One stored query over SOAP.
    async fn ask(&self, name: &str, given: Given<'_>, returns: Returns) -> Response {
        let query = query::by_name(name).expect("a query of the framework");
        let given: Vec<(&str, Vec<String>)> = given
            .iter()
            .map(|(name, values)| (*name, values.iter().map(|value| (*value).to_owned()).collect()))
            .collect();
        let body = String::from_utf8(iti18::write_request(query, &given, returns, None)).expect("UTF-8");
        let action = match query.transaction {
            "ITI-51" => "urn:ihe:iti:2009:MultiPatientStoredQuery",
            _ => "urn:ihe:iti:2007:RegistryStoredQuery",
        };
        self.post_soap(action, &body).await
    }

    async fn post_soap(&self, action: &str, body: &str) -> Response {
        let envelope = format!(
            "<s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header>\
             <a:Action s:mustUnderstand=\"1\">{action}</a:Action>\
             <a:MessageID>urn:uuid:4a9a1b1e-3b1c-4d1e-8f55-3f6d1b0a2c11</a:MessageID></s:Header>\
             <s:Body>{body}</s:Body></s:Envelope>"
        );
        let request = self.request(Method::POST, "/xds/registry");
        let request = request.header("content-type", "application/soap+xml; charset=UTF-8").body(envelope);
        let answer = request.send().await.expect("the registry answers");
        let (status, bytes) = (answer.status(), answer.bytes().await.expect("with a body"));
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(status, 200, "{text}");
        let root = reader::read(&bytes, &reader::Limits::default()).expect("XML");
        let body: &Element = root.child(SOAP, "Body").expect("a body");
        let answer = body.children.first().expect("an answer");
        assert!(
            answer.children.iter().any(|child| &*child.name == "RegistryObjectList"),
            "there is always a RegistryObjectList: {text}"
        );
        iti18::read_response(answer).unwrap_or_else(|| panic!("an answer: {text}"))
    }

    pub(crate) async fn objects(&self, name: &str, given: Given<'_>) -> Response {
        let answer = self.ask(name, given, Returns::Objects).await;
        assert_eq!((answer.status, answer.errors.len()), (Status::Success, 0), "{name}: {:?}", answer.errors);
        assert_eq!(answer.remarks, [], "{name}");
        answer
    }

    /// How many documents, submission sets, folders and associations there are, and as many references.
    async fn counts(&self, name: &str, given: Given<'_>) -> [usize; 4] {
        let objects = self.objects(name, given).await.objects;
        let counts = [
            objects.documents.len(),
            objects.submission_sets.len(),
            objects.folders.len(),
            objects.associations.len(),
        ];
        let references = self.ask(name, given, Returns::References).await;
        assert_eq!(references.objects.references.len(), counts.iter().sum::<usize>(), "{name}");
        counts
    }

    async fn refused(&self, name: &str, given: Given<'_>, returns: Returns) -> String {
        let answer = self.ask(name, given, returns).await;
        assert_eq!(answer.status, Status::Failure, "{name}");
        assert!(answer.objects.documents.is_empty() && answer.objects.references.is_empty());
        answer.errors.first().expect("an error").code.clone()
    }
}

impl Shelf {
    async fn new() -> Shelf {
        let setup = Setup::new(settings());
        let store = setup.store.clone();
        let world = World::over(setup);
        for (id, mrn) in [("p1", "one"), ("p2", "two")] {
            world.feed(id, 1, mrn, true).await.expect(201);
        }
        let first = document("old");
        let folder = Folder::new("Ordner", &[first.url.as_str()]);
        let reply = world.register(&provide("p1", first).folder(folder)).await.expect(200);
        let old = reply.located("DocumentReference").remove(0);
        let mut lists = Vec::new();
        for id in reply.located("List") {
            let list = world.get(&format!("/fhir/List/{id}")).await.expect(200).body;
            lists.push((list["code"]["coding"][0]["code"] == "folder", id));
        }
        lists.sort();
        lists.dedup();
        let (folder, set) = (lists[1].1.clone(), lists[0].1.clone());
        let replacing = document("new").relates_to("replaces", &format!("DocumentReference/{old}"));
        let reply = world.register(&provide("p1", replacing)).await.expect(200);
        let new = reply.located("DocumentReference").remove(0);
        let reply = world.register(&provide("p1", document("other"))).await.expect(200);
        let other = reply.located("DocumentReference").remove(0);
        Shelf { world, store, old, new, other, folder, first: set }
    }
}

fn urn(id: &str) -> String {
    format!("urn:uuid:{id}")
}

#[tokio::test]
async fn what_was_registered_in_fhir_is_found_by_stored_queries() {
    let shelf = Shelf::new().await;
    let one = cx("one");
    let patient = ("$XDSDocumentEntryPatientId", &[one.as_str()][..]);
    let found =
        shelf.world.objects("FindDocuments", &[patient, ("$XDSDocumentEntryStatus", &[APPROVED])]).await;
    let mut ids: Vec<&str> =
        found.objects.documents.iter().map(|one| one.object.entry_uuid.as_ref().unwrap().as_str()).collect();
    ids.sort_unstable();
    let mut expected = [shelf.new.as_str(), shelf.other.as_str()];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    let entry = &found.objects.documents[0].object;
    let identifier = entry.patient.identifier.as_ref().expect("a patient");
    assert_eq!(
        (identifier.system.as_str(), identifier.value.as_str()),
        ("urn:oid:1.2.36.146.595.217.0.1", "one")
    );
    assert!(found.objects.documents.iter().all(|one| one.standing.status == Some(Availability::Approved)));
    let count = |status: &'static [&'static str]| {
        let world = &shelf.world;
        async move { world.counts("FindDocuments", &[patient, ("$XDSDocumentEntryStatus", status)]).await[0] }
    };
    assert_eq!(count(&[DEPRECATED]).await, 1);
    assert_eq!(count(&[APPROVED, DEPRECATED]).await, 3);
    let nobody = cx("nobody");
    let nobody = ("$XDSDocumentEntryPatientId", &[nobody.as_str()][..]);
    assert_eq!(
        shelf.world.counts("FindDocuments", &[nobody, ("$XDSDocumentEntryStatus", &[APPROVED])]).await,
        [0; 4]
    );
}

#[tokio::test]
async fn each_query_answers_with_the_associations_it_has_to() {
    let shelf = Shelf::new().await;
    let (old, new, other) = (urn(&shelf.old), urn(&shelf.new), urn(&shelf.other));
    let (folder, first, one) = (urn(&shelf.folder), urn(&shelf.first), cx("one"));
    let (old, new, other, folder, first) =
        (old.as_str(), new.as_str(), other.as_str(), folder.as_str(), first.as_str());
    let both = [APPROVED, DEPRECATED];
    let entries = "$XDSDocumentEntryEntryUUID";
    let replaces = "urn:ihe:iti:2007:AssociationType:RPLC";
    // Of the whole: three sets with a document each; the first with a folder, its membership and that of the old document; the
    // second with that of the new document; the folder with two documents; the replacement.
    let associations = 3 + 1 + 2 + 2 + 1;
    let everything: [(&str, &[&str]); 4] = [
        ("$patientId", &[one.as_str()]),
        ("$XDSDocumentEntryStatus", &both),
        ("$XDSSubmissionSetStatus", &both),
        ("$XDSFolderStatus", &both),
    ];
    let cases: &[(&str, Given<'_>, [usize; 4])] = &[
        ("GetAll", &everything, [3, 3, 1, associations]),
        ("GetDocuments", &[(entries, &[old, new])], [2, 0, 0, 0]),
        ("GetDocuments", &[(entries, &[folder, "Document01"])], [0; 4]),
        ("GetFolders", &[("$XDSFolderEntryUUID", &[folder])], [0, 0, 1, 0]),
        ("GetFolders", &[("$XDSFolderLogicalID", &[folder])], [0, 0, 1, 0]),
        ("GetAssociations", &[("$uuid", &[old])], [0, 0, 0, 3]),
        ("GetAssociations", &[("$uuid", &[first])], [0, 0, 0, 3]),
        ("GetAssociations", &[("$uuid", &[folder])], [0, 0, 0, 3]),
        ("GetDocumentsAndAssociations", &[(entries, &[new])], [1, 0, 0, 3]),
        ("GetSubmissionSets", &[("$uuid", &[old, folder])], [0, 1, 0, 2]),
        ("GetSubmissionSets", &[("$uuid", &[old, new])], [0, 2, 0, 2]),
        ("GetSubmissionSetAndContents", &[("$XDSSubmissionSetEntryUUID", &[first])], [1, 1, 1, 4]),
        (
            "GetSubmissionSetAndContents",
            &[("$XDSSubmissionSetEntryUUID", &[first]), ("$XDSDocumentEntryFormatCode", &["x^^1.2"])],
            [0, 1, 1, 1],
        ),
        ("GetFolderAndContents", &[("$XDSFolderEntryUUID", &[folder])], [2, 0, 1, 2]),
        ("GetFoldersForDocument", &[(entries, &[new])], [0, 0, 1, 0]),
        ("GetFoldersForDocument", &[(entries, &[other])], [0; 4]),
        ("GetRelatedDocuments", &[(entries, &[old]), ("$AssociationTypes", &[replaces])], [2, 0, 0, 1]),
        ("GetRelatedDocuments", &[(entries, &[other]), ("$AssociationTypes", &[replaces])], [0; 4]),
        (
            "GetRelatedDocuments",
            &[(entries, &[new]), ("$AssociationTypes", &["urn:ihe:iti:2007:AssociationType:APND"])],
            [0; 4],
        ),
    ];
    for (name, given, expected) in cases {
        assert_eq!(shelf.world.counts(name, given).await, *expected, "{name} {given:?}");
    }
    let related = [(entries, &[old][..]), ("$AssociationTypes", &[replaces][..])];
    let related = shelf.world.objects("GetRelatedDocuments", &related).await.objects;
    let association = &related.associations[0].object;
    let end = |end: &ObjectRef| match end {
        ObjectRef::Registered(id) => urn(id.as_str()),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (association.kind, end(&association.source), end(&association.target)),
        (AssociationType::Replace, new.to_owned(), old.to_owned())
    );
    let all = [("$XDSSubmissionSetEntryUUID", &[first][..])];
    let contents = shelf.world.objects("GetSubmissionSetAndContents", &all).await.objects;
    let originals: Vec<Option<bool>> =
        contents.associations.iter().map(|one| one.standing.original).filter(Option::is_some).collect();
    assert_eq!(originals, [Some(true)], "a document of its own, said once");
    assert!(contents.folders[0].standing.last_update.is_some());
}

#[tokio::test]
async fn objects_are_found_by_their_unique_ids() {
    let shelf = Shelf::new().await;
    let of = |path: String| {
        let world = &shelf.world;
        async move {
            let body = world.get(&path).await.expect(200).body;
            let names = body["masterIdentifier"].as_object().map(|one| vec![serde_json::json!(one)]);
            let names = names.or_else(|| body["identifier"].as_array().cloned()).unwrap_or_default();
            let value = names.iter().find_map(|one| one["value"].as_str()?.strip_prefix("urn:oid:"));
            value.expect("an OID").to_owned()
        }
    };
    let document = of(format!("/fhir/DocumentReference/{}", shelf.old)).await;
    let folder = of(format!("/fhir/List/{}", shelf.folder)).await;
    let set = of(format!("/fhir/List/{}", shelf.first)).await;
    for (name, parameter, id, expected) in [
        ("GetDocuments", "$XDSDocumentEntryUniqueId", &document, [1, 0, 0, 0]),
        ("GetDocuments", "$XDSDocumentEntryUniqueId", &folder, [0; 4]),
        ("GetFolders", "$XDSFolderUniqueId", &folder, [0, 0, 1, 0]),
        ("GetFolders", "$XDSFolderUniqueId", &set, [0; 4]),
        ("GetFolderAndContents", "$XDSFolderUniqueId", &folder, [2, 0, 1, 2]),
        ("GetSubmissionSetAndContents", "$XDSSubmissionSetUniqueId", &set, [1, 1, 1, 4]),
        ("GetFoldersForDocument", "$XDSDocumentEntryUniqueId", &document, [0, 0, 1, 0]),
    ] {
        assert_eq!(shelf.world.counts(name, &[(parameter, &[id.as_str()])]).await, expected, "{name}");
    }
}

#[tokio::test]
async fn an_answer_of_whole_objects_is_of_one_patient() {
    let shelf = Shelf::new().await;
    let reply = shelf.world.register(&provide("p2", document("theirs"))).await.expect(200);
    let theirs = urn(&reply.located("DocumentReference")[0]);
    let own = urn(&shelf.old);
    let both = [own.as_str(), theirs.as_str()];
    let given: [(&str, &[&str]); 1] = [("$XDSDocumentEntryEntryUUID", &both)];
    assert_eq!(
        shelf.world.refused("GetDocuments", &given, Returns::Objects).await,
        "XDSResultNotSinglePatient"
    );
    let references = shelf.world.ask("GetDocuments", &given, Returns::References).await;
    assert_eq!(references.objects.references.len(), 2);
    let given: [(&str, &[&str]); 1] = [("$uuid", &both)];
    assert_eq!(
        shelf.world.refused("GetSubmissionSets", &given, Returns::Objects).await,
        "XDSResultNotSinglePatient"
    );
    // Several patients are asked for together by ITI-51.
    let (one, two) = (cx("one"), cx("two"));
    let patients = [one.as_str(), two.as_str()];
    let status: (&str, &[&str]) = ("$XDSDocumentEntryStatus", &[APPROVED]);
    let name = "FindDocumentsForMultiplePatients";
    let given = [("$XDSDocumentEntryPatientId", &patients[..]), status];
    assert_eq!(shelf.world.counts(name, &given).await, [3, 0, 0, 0]);
    let entry = shelf.world.get(&format!("/fhir/DocumentReference/{}", shelf.old)).await.body;
    let class = entry["category"][0]["coding"][0].clone();
    let system = xds::attribute::system(class["system"].as_str().expect("a system"));
    let class = format!("{}^^{system}", class["code"].as_str().expect("a code"));
    let given = [("$XDSDocumentEntryClassCode", &[class.as_str()][..]), status];
    assert_eq!(shelf.world.counts(name, &given).await, [3, 0, 0, 0], "of all patients");
    assert_eq!(shelf.world.refused(name, &[status], Returns::References).await, "XDSStoredQueryMissingParam");
}

#[tokio::test]
async fn a_merged_patient_is_shown_as_the_survivor() {
    let shelf = Shelf::new().await;
    let merged = serde_json::json!({
        "resourceType": "Patient", "id": "p1", "meta": { "versionId": "2" }, "active": false,
        "identifier": [{ "system": crate::world::MRN, "value": "one" }],
        "link": [{ "type": "replaced-by", "other": { "reference": format!("{}/Patient/p2", crate::world::IDENTITY) } }]
    });
    let request = shelf.world.request(Method::PUT, "/fhir/Patient/p1").json(&merged);
    shelf.world.send(request).await.expect(200);
    let status: (&str, &[&str]) = ("$XDSDocumentEntryStatus", &[APPROVED]);
    let two = cx("two");
    let given = [("$XDSDocumentEntryPatientId", &[two.as_str()][..]), status];
    let found = shelf.world.objects("FindDocuments", &given).await;
    assert_eq!(found.objects.documents.len(), 2);
    for one in &found.objects.documents {
        assert_eq!(one.object.patient.identifier.as_ref().map(|id| id.value.as_str()), Some("two"));
    }
    let one = cx("one");
    let given = [("$XDSDocumentEntryPatientId", &[one.as_str()][..]), status];
    assert_eq!(shelf.world.counts("FindDocuments", &given).await, [0; 4]);
}

#[tokio::test]
async fn limits_and_policies_are_those_of_the_configuration() {
    let settings = Settings {
        stored_query: StoredQuery {
            max_objects: 1,
            max_references: 2,
            max_values: 4,
            unknown_patient: UnknownPatient::Refuse,
            without_patient: false,
        },
        ..settings()
    };
    let world = World::with(settings).await;
    for name in ["a", "b"] {
        world.register(&provide("p1", document(name))).await.expect(200);
    }
    let status: (&str, &[&str]) = ("$XDSDocumentEntryStatus", &[APPROVED]);
    let (one, nobody) = (cx("one"), cx("nobody"));
    let given = [("$XDSDocumentEntryPatientId", &[one.as_str()][..]), status];
    assert_eq!(world.refused("FindDocuments", &given, Returns::Objects).await, "XDSTooManyResults");
    let references = world.ask("FindDocuments", &given, Returns::References).await;
    assert_eq!(references.objects.references.len(), 2);
    world.register(&provide("p1", document("c"))).await.expect(200);
    assert_eq!(world.refused("FindDocuments", &given, Returns::References).await, "XDSTooManyResults");
    let given = [("$XDSDocumentEntryPatientId", &[nobody.as_str()][..]), status];
    assert_eq!(world.refused("FindDocuments", &given, Returns::References).await, "XDSUnknownPatientId");
    let many: [(&str, &[&str]); 1] = [("$uuid", &["a", "b", "c", "d", "e"])];
    assert_eq!(
        world.refused("GetAssociations", &many, Returns::References).await,
        "XDSRegistryOutOfResources"
    );
    let everybody = [("$XDSDocumentEntryClassCode", &["a^^1.2"][..]), status];
    let name = "FindDocumentsForMultiplePatients";
    assert_eq!(world.refused(name, &everybody, Returns::References).await, "XDSStoredQueryMissingParam");
}

#[tokio::test]
async fn no_stored_query_looks_at_the_rows_of_others() {
    let shelf = Shelf::new().await;
    for n in 0..40 {
        let id = format!("other-{n}");
        shelf.world.feed(&id, 1, &id, true).await.expect(201);
        shelf.world.register(&provide(&id, document("x"))).await.expect(200);
    }
    let (old, folder, first, one) = (urn(&shelf.old), urn(&shelf.folder), urn(&shelf.first), cx("one"));
    let (old, folder, first, one) = (old.as_str(), folder.as_str(), first.as_str(), one.as_str());
    let status = [APPROVED, DEPRECATED];
    let cases: &[(&str, Given<'_>)] = &[
        ("FindDocuments", &[("$XDSDocumentEntryPatientId", &[one]), ("$XDSDocumentEntryStatus", &status)]),
        (
            "FindSubmissionSets",
            &[("$XDSSubmissionSetPatientId", &[one]), ("$XDSSubmissionSetStatus", &status)],
        ),
        ("FindFolders", &[("$XDSFolderPatientId", &[one]), ("$XDSFolderStatus", &status)]),
        (
            "GetAll",
            &[
                ("$patientId", &[one]),
                ("$XDSDocumentEntryStatus", &status),
                ("$XDSSubmissionSetStatus", &status),
                ("$XDSFolderStatus", &status),
            ],
        ),
        ("GetDocuments", &[("$XDSDocumentEntryEntryUUID", &[old])]),
        ("GetDocuments", &[("$XDSDocumentEntryUniqueId", &["1.2.3.4"])]),
        ("GetDocuments", &[("$XDSDocumentEntryLogicalID", &[old])]),
        ("GetFolders", &[("$XDSFolderEntryUUID", &[folder])]),
        ("GetAssociations", &[("$uuid", &[old])]),
        ("GetDocumentsAndAssociations", &[("$XDSDocumentEntryEntryUUID", &[old])]),
        ("GetSubmissionSets", &[("$uuid", &[old])]),
        ("GetSubmissionSetAndContents", &[("$XDSSubmissionSetEntryUUID", &[first])]),
        ("GetFolderAndContents", &[("$XDSFolderEntryUUID", &[folder])]),
        ("GetFoldersForDocument", &[("$XDSDocumentEntryEntryUUID", &[old])]),
        (
            "GetRelatedDocuments",
            &[
                ("$XDSDocumentEntryEntryUUID", &[old]),
                ("$AssociationTypes", &["urn:ihe:iti:2007:AssociationType:RPLC"]),
            ],
        ),
    ];
    // All there is of this patient are seven objects and itself; some are looked at on several ways.
    for (name, given) in cases {
        for returns in [Returns::Objects, Returns::References] {
            let before = shelf.store.looked_at();
            shelf.world.ask(name, given, returns).await;
            let looked = shelf.store.looked_at() - before;
            assert!(looked <= 36, "{name} looked at {looked} rows");
        }
    }
}

#[tokio::test]
async fn a_hostile_or_broken_query_is_refused_with_words() {
    let world = World::new().await;
    let body = |slots: &str| {
        format!(
            "<q:AdhocQueryRequest xmlns:q=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" \
             xmlns=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><q:ResponseOption returnType=\"LeafClass\"/>\
             <AdhocQuery id=\"urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d\">{slots}</AdhocQuery></q:AdhocQueryRequest>"
        )
    };
    let slot = |name: &str, value: &str| {
        format!("<Slot name=\"{name}\"><ValueList><Value>{value}</Value></ValueList></Slot>")
    };
    let status = slot("$XDSDocumentEntryStatus", &format!("('{APPROVED}')"));
    let injected = slot("$XDSDocumentEntryPatientId", "'1^^^&amp;1.2&amp;ISO''%20and%20611%3d611--%20");
    let action = "urn:ihe:iti:2007:RegistryStoredQuery";
    let answer = world.post_soap(action, &body(&format!("{injected}{status}"))).await;
    assert_eq!(
        (answer.status, answer.errors[0].code.as_str()),
        (Status::Failure, "XDSStoredQueryParamNumber")
    );
    let patient = slot("$XDSDocumentEntryPatientId", "'x'' OR ''1''=''1'");
    let answer = world.post_soap(action, &body(&format!("{patient}{status}"))).await;
    assert_eq!((answer.status, answer.objects.documents.len()), (Status::Success, 0));
    let author = slot("$XDSDocumentEntryAuthorPerson", "('%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%b')");
    let patient = slot("$XDSDocumentEntryPatientId", &format!("'{}'", cx("one").replace('&', "&amp;")));
    let answer = world.post_soap(action, &body(&format!("{patient}{status}{author}"))).await;
    assert_eq!(answer.status, Status::Success);
}

#[tokio::test]
async fn every_version_of_a_document_is_found_by_who_asks_for_it() {
    let shelf = Shelf::new().await;
    let path = format!("/fhir/DocumentReference/{}", shelf.other);
    let patch =
        serde_json::json!([{ "op": "replace", "path": "/content/0/attachment/title", "value": "neu" }]);
    let request =
        shelf.world.request(Method::PATCH, &path).header("content-type", "application/json-patch+json");
    shelf.world.send(request.body(patch.to_string())).await.expect(200);
    let resource = shelf.world.get(&path).await.expect(200).body;
    let unique =
        resource["masterIdentifier"]["value"].as_str().expect("a value").trim_start_matches("urn:oid:");
    let (lid, one) = (urn(&shelf.other), cx("one"));
    let by_unique_id: (&str, &[&str]) = ("$XDSDocumentEntryUniqueId", &[unique]);
    let versions: (&str, &[&str]) = ("$MetadataLevel", &["2"]);
    let world = &shelf.world;
    assert_eq!(world.counts("GetDocuments", &[by_unique_id]).await, [1, 0, 0, 0], "the newest");
    assert_eq!(world.counts("GetDocuments", &[by_unique_id, versions]).await, [2, 0, 0, 0]);
    let logical: (&str, &[&str]) = ("$XDSDocumentEntryLogicalID", &[lid.as_str()]);
    let found = world.objects("GetDocuments", &[logical]).await.objects.documents;
    let mut said: Vec<(Option<u64>, Option<Availability>, Option<&str>)> = found
        .iter()
        .map(|one| (one.standing.version, one.standing.status, one.object.title.as_deref()))
        .collect();
    said.sort_by_key(|(version, ..)| *version);
    assert_eq!(said[0], (Some(1), Some(Availability::Deprecated), Some("Befund vom 2. Februar")));
    assert_eq!(said[1], (Some(2), Some(Availability::Approved), Some("neu")));
    assert!(found.iter().all(|one| one.standing.lid.as_deref() == Some(lid.as_str())));
    let first: (&str, &[&str]) = ("$XDSDocumentEntryEntryUUID", &[lid.as_str()]);
    let first = world.objects("GetDocuments", &[first]).await.objects.documents;
    assert_eq!(first[0].standing.version, Some(1), "an entryUUID is one version");
    let newest = found.iter().find(|one| one.standing.version == Some(2)).expect("the newest");
    let newest = urn(newest.object.entry_uuid.as_ref().expect("an id").as_str());
    let by_id: (&str, &[&str]) = ("$XDSDocumentEntryEntryUUID", &[newest.as_str()]);
    assert_eq!(world.counts("GetDocuments", &[by_id]).await, [1, 0, 0, 0]);
    let patient: (&str, &[&str]) = ("$XDSDocumentEntryPatientId", &[one.as_str()]);
    let count = |status: &'static [&'static str]| async move {
        world.counts("FindDocuments", &[patient, ("$XDSDocumentEntryStatus", status)]).await[0]
    };
    assert_eq!(count(&[APPROVED]).await, 2);
    assert_eq!(count(&[DEPRECATED]).await, 2, "what was replaced, and the version before");
}
