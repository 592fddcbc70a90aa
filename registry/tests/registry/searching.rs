//! Searches, whole: every parameter that is claimed, modifiers, chains, includes, parts, orders; and what they cost.

use actor::Setup;
use fhir::search::PATIENT_PARAMETERS;
use registry::{Domain, Settings};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Folder;

use crate::world::{IDENTITY, MRN, Reply, World, document, provide, settings};

const COMMUNITY: &str = "urn:oid:1.2.3.4.5";

/// One document with something in every element that can be asked for, one that replaces it, and a folder of both.
struct Rich {
    world: World,
    store: store::Store,
    patient: &'static str,
    /// The replaced one, the replacing one.
    old: String,
    new: String,
    sets: Vec<String>,
    folder: String,
}

fn fed(id: &str, mrn: &str, family: &str, given: &str, born: &str, gender: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "meta": { "versionId": "1" },
        "identifier": [{ "system": MRN, "value": mrn }],
        "name": [{ "family": family, "given": [given], "prefix": ["Dr."] }],
        "birthDate": born, "gender": gender, "active": true
    })
}

/// Turns the first DocumentReference of a bundle into one of the UnContained profile with more in it.
fn enrich(bundle: &mut Value) {
    let text = bundle.to_string().replace("IHE.MHD.Comprehensive.", "IHE.MHD.UnContained.Comprehensive.");
    let text = text.replace("IHE.MHD.UnContained.Comprehensive.Folder", "IHE.MHD.Comprehensive.Folder");
    *bundle = serde_json::from_str(&text).expect("a Bundle");
    for entry in bundle["entry"].as_array_mut().expect("entries") {
        let resource = &mut entry["resource"];
        if resource["resourceType"] == "DocumentReference" {
            resource["author"] = json!([
                { "reference": "#author" },
                { "reference": "http://directory.example/fhir/Practitioner/77" }
            ]);
            resource["contained"].as_array_mut().expect("contained").push(json!({
                "resourceType": "Practitioner", "id": "signer",
                "identifier": [{ "system": "urn:oid:1.2.3.4.5", "value": "signer-1" }],
                "name": [{ "family": "Signer" }]
            }));
            resource["authenticator"] = json!({ "reference": "#signer" });
            resource["custodian"] = json!({ "reference": "http://directory.example/fhir/Organization/5",
                "identifier": { "system": "urn:oid:1.2.3.4.6", "value": "keeper-1" } });
            resource["type"]["coding"][0]["display"] = "Konsilbefund".into();
            resource["context"]["encounter"] = json!([{ "reference": "http://clinic.example/fhir/Encounter/e-1",
                "identifier": { "system": "urn:oid:1.2.3.4.7", "value": "visit-1" } }]);
            resource["context"]["related"] = json!([
                { "reference": "http://clinic.example/fhir/ServiceRequest/r-1" },
                { "identifier": { "system": "urn:oid:1.2.3.4.8", "value": "accession-1" } }
            ]);
        }
    }
}

impl Rich {
    async fn new() -> Rich {
        let settings = Settings {
            domain: Domain { home_community_id: COMMUNITY.to_owned(), ..Domain::default() },
            ..settings()
        };
        let setup = Setup::new(settings);
        let store = setup.store.clone();
        let world = World::over(setup);
        let patient = "rich";
        for resource in [
            fed(patient, "rich-1", "Østergård", "Åse", "1950-03-04", "female"),
            fed("poor", "poor-1", "Smith", "Al", "1990-01-01", "male"),
        ] {
            let id = resource["id"].as_str().expect("an id").to_owned();
            let request = world.request(Method::PUT, &format!("/fhir/Patient/{id}")).json(&resource);
            world.send(request).await.expect(201);
        }
        let first = document("old");
        let folder = Folder::new("Ordner", &[first.url.as_str()]);
        // The document that replaces it takes its place in the folder, too.
        let mut bundle = provide(patient, first).folder(folder).bundle();
        enrich(&mut bundle);
        let reply = world.post(&bundle).await.expect(200);
        let old = reply.located("DocumentReference").remove(0);
        let lists = reply.located("List");
        let replacing = document("new").relates_to("replaces", &format!("DocumentReference/{old}"));
        let reply = world.register(&provide(patient, replacing)).await.expect(200);
        let new = reply.located("DocumentReference").remove(0);
        let mut folder = String::new();
        let mut sets = Vec::new();
        for id in lists.into_iter().chain(reply.located("List")) {
            let list = world.get(&format!("/fhir/List/{id}")).await.expect(200).body;
            if list["code"]["coding"][0]["code"] == "folder" {
                folder = id;
            } else if !sets.contains(&id) {
                sets.push(id);
            }
        }
        Rich { world, store, patient, old, new, sets, folder }
    }

    async fn ids(&self, query: &str) -> Vec<String> {
        let mut ids = self.world.get(&format!("/fhir/{query}")).await.expect(200).matched();
        ids.sort();
        ids
    }
}

impl Reply {
    /// Ids of the matches.
    fn matched(&self) -> Vec<String> {
        self.of_mode("match")
            .iter()
            .map(|entry| entry["resource"]["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    fn of_mode(&self, mode: &str) -> Vec<Value> {
        let entries = self.body["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().filter(|entry| entry["search"]["mode"] == mode).collect()
    }

    /// Type and id of what is included.
    fn included(&self) -> Vec<String> {
        let name = |entry: &Value| {
            let text = |name: &str| entry["resource"][name].as_str().expect("a text").to_owned();
            format!("{}/{}", text("resourceType"), text("id"))
        };
        let mut names: Vec<String> = self.of_mode("include").iter().map(name).collect();
        names.sort();
        names
    }
}

/// Each claimed parameter of documents with a question that finds the old document alone, and one that does not find it.
const DOCUMENTS: &[(&str, &str, &str)] = &[
    ("status", "status=superseded", "status=current"),
    ("status", "status:not=current", "status:not=superseded,current"),
    ("identifier", "identifier=urn:oid:{unique}&status=superseded", "identifier=9.9.9"),
    ("type", "type=http://loinc.org|60591-5&status=superseded", "type=60591"),
    ("type", "type:text=konsil", "type:text=befund"),
    ("type", "type:not=1-1&status=superseded", "type:not=60591-5"),
    ("category", "category=11369-6&status=superseded", "category:missing=true"),
    ("creation", "creation=2020-02&status=superseded", "creation=lt2020"),
    ("date", "date=le2020-02-02&status=superseded", "date=gt2020-02-02"),
    ("period", "period=ge2020-01-31&status=superseded", "period=lt2020-01-30"),
    ("setting", "setting=408467006&status=superseded", "setting=1"),
    ("facility", "facility=82242000&status=superseded", "facility=1"),
    ("format", "format=urn:ihe:iti:xds-sd:text:2008&status=superseded", "format=x"),
    ("event", "event=35971002&status=superseded", "event:missing=true"),
    ("security-label", "security-label=N&status=superseded", "security-label=V"),
    ("author", "author=http://directory.example/fhir/Practitioner/77", "author=Practitioner/77"),
    ("author", "author:identifier=urn:oid:1.2.3.4.5|doc-7&status=superseded", "author:missing=true"),
    ("author.identifier", "author.identifier=doc-7&status=superseded", "author.identifier=doc-8"),
    ("author.family", "author:Practitioner.family=hub&status=superseded", "author.family=uber"),
    ("author.given", "author.given:exact=Maria&status=superseded", "author.given:exact=maria"),
    ("author.name", "author.name=huber&status=superseded", "author.name=x"),
    ("authenticator", "authenticator:missing=false", "authenticator:missing=true"),
    ("authenticator", "authenticator:identifier=signer-1", "authenticator=Practitioner/1"),
    (
        "authenticator.identifier",
        "authenticator.identifier=urn:oid:1.2.3.4.5|signer-1",
        "authenticator.identifier=x",
    ),
    ("custodian", "custodian=http://directory.example/fhir/Organization/5", "custodian=Organization/5"),
    ("custodian.identifier", "custodian.identifier=keeper-1", "custodian.identifier=keeper-2"),
    ("encounter", "encounter=http://clinic.example/fhir/Encounter/e-1", "encounter=Encounter/e-1"),
    (
        "encounter.identifier",
        "encounter.identifier=urn:oid:1.2.3.4.7|visit-1",
        "encounter.identifier=accession-1",
    ),
    ("related", "related=http://clinic.example/fhir/ServiceRequest/r-1", "related=ServiceRequest/r-1"),
    ("related", "related:identifier=urn:oid:1.2.3.4.8|accession-1", "related:missing=true"),
    ("related.identifier", "related.identifier=accession-1", "related.identifier=accession-2"),
    ("relatesto", "relatesto:missing=true", "relatesto:missing=false"),
    ("relatesto", "_has:DocumentReference:relatesto:status=current", "relatesto=DocumentReference/{old}"),
    ("relatesto.identifier", "relatesto:missing=true", "relatesto.identifier=urn:oid:{unique}"),
    ("relation", "relation:missing=true", "relation=replaces"),
    ("description", "description=ein&status=superseded", "description:contains=xyz"),
    ("contenttype", "contenttype=text/plain&status=superseded", "contenttype=application/pdf"),
    ("language", "language=en&status=superseded", "language=de"),
    ("location", "location={location}", "location=http://repository.example/documents/1"),
    ("targetCommunityIdList", "targetCommunityIdList=urn:oid:1.2.3.4.5&status=superseded", "_id={new}"),
    ("_id", "_id={old}", "_id={new}"),
    ("_lastUpdated", "_lastUpdated=gt2020&status=superseded", "_lastUpdated=lt2020"),
];

#[tokio::test]
async fn every_claimed_parameter_of_documents_finds_and_excludes() {
    let rich = Rich::new().await;
    let old = rich.world.get(&format!("/fhir/DocumentReference/{}", rich.old)).await.expect(200).body;
    let unique = old["masterIdentifier"]["value"].as_str().expect("a value").trim_start_matches("urn:oid:");
    let location = old["content"][0]["attachment"]["url"].as_str().expect("a url");
    let fill = |query: &str| {
        let query = query.replace("{old}", &rich.old).replace("{new}", &rich.new);
        query.replace("{unique}", unique).replace("{location}", location).replace('|', "%7C")
    };
    for (parameter, finds, excludes) in DOCUMENTS {
        let ask = |query: &str| format!("DocumentReference?patient={}&{}", rich.patient, fill(query));
        assert_eq!(rich.ids(&ask(finds)).await, [rich.old.as_str()], "{parameter}: {finds}");
        assert!(!rich.ids(&ask(excludes)).await.contains(&rich.old), "{parameter}: {excludes}");
    }
    let claimed = claimed(&rich.world, "DocumentReference").await;
    let tried = |name: &str| {
        DOCUMENTS.iter().any(|(parameter, ..)| *parameter == name)
            || PATIENT_PARAMETERS.iter().any(|parameter| parameter.name == name)
    };
    let untried: Vec<&String> = claimed.iter().filter(|name| !tried(name)).collect();
    assert!(untried.is_empty(), "claimed and not tried: {untried:?}");
    for (parameter, ..) in DOCUMENTS {
        assert!(claimed.iter().any(|name| name == parameter), "{parameter} is tried and not claimed");
    }
}

async fn claimed(world: &World, kind: &str) -> Vec<String> {
    let statement = world.get("/fhir/metadata").await.expect(200).body;
    let resources = statement["rest"][0]["resource"].as_array().expect("resources");
    let resource = resources.iter().find(|one| one["type"] == kind).expect("the type is claimed");
    let parameters = resource["searchParam"].as_array().expect("parameters");
    parameters.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

/// Each claimed parameter of lists with a question that finds the folder alone, and one that does not find it.
const LISTS: &[(&str, &str, &str)] = &[
    ("code", "code=folder", "code=submissionset"),
    ("status", "status=current&code=folder", "status=retired"),
    ("date", "date=ge2000&code=folder", "date=lt2000"),
    ("designationType", "designationType=225728007&code=folder", "designationType=1"),
    ("identifier", "identifier={unique}", "identifier=9.9"),
    ("sourceId", "sourceId:missing=true", "sourceId:missing=false"),
    ("source", "source:missing=true", "source=Practitioner/1"),
    ("source.identifier", "source.identifier:missing=true", "source.identifier=doc-7"),
    ("source.family", "source.family:missing=true", "source.family=x"),
    ("source.given", "source.given:missing=true", "source.given=x"),
    ("source.name", "source.name:missing=true", "source.name=x"),
    (
        "item",
        "item=DocumentReference/{new}&code=folder",
        "item=DocumentReference/00000000-0000-0000-0000-000000000001",
    ),
    ("item.identifier", "item.identifier={document}&code=folder", "item.identifier=9.9.9"),
    ("title", "title=ordner", "title:exact=ordner"),
    ("notes", "notes:missing=true&code=folder", "notes=x"),
    ("encounter", "encounter:missing=true&code=folder", "encounter=Encounter/1"),
    ("encounter.identifier", "encounter.identifier:missing=true&code=folder", "encounter.identifier=1"),
    ("targetCommunityIdList", "targetCommunityIdList=1.2.3.4.5&code=folder", "code=submissionset"),
    ("_id", "_id={folder}", "_id=00000000-0000-0000-0000-000000000001"),
    ("_lastUpdated", "_lastUpdated=ge2020-01-01&code=folder", "_lastUpdated=lt2020-01-01"),
];

#[tokio::test]
async fn every_claimed_parameter_of_lists_finds_and_excludes() {
    let rich = Rich::new().await;
    let folder = rich.world.get(&format!("/fhir/List/{}", rich.folder)).await.expect(200).body;
    let new = rich.world.get(&format!("/fhir/DocumentReference/{}", rich.new)).await.expect(200).body;
    let unique = folder["identifier"][0]["value"].as_str().expect("a value");
    let master = new["masterIdentifier"]["value"].as_str().expect("a value");
    let fill = |query: &str| {
        let query = query.replace("{folder}", &rich.folder).replace("{new}", &rich.new);
        query.replace("{unique}", unique).replace("{document}", master)
    };
    for (parameter, finds, excludes) in LISTS {
        let ask = |query: &str| format!("List?patient={}&{}", rich.patient, fill(query));
        // What sets have nothing of, folders have nothing of either.
        let found = rich.ids(&format!("{}&code=folder", ask(finds))).await;
        assert_eq!(found, [rich.folder.as_str()], "{parameter}: {finds}");
        if finds.contains("folder") || !finds.contains("missing") {
            assert_eq!(rich.ids(&ask(finds)).await, [rich.folder.as_str()], "{parameter}: {finds}");
        }
        assert!(!rich.ids(&ask(excludes)).await.contains(&rich.folder), "{parameter}: {excludes}");
    }
    let claimed = claimed(&rich.world, "List").await;
    let tried = |name: &str| {
        LISTS.iter().any(|(parameter, ..)| *parameter == name)
            || PATIENT_PARAMETERS.iter().any(|parameter| parameter.name == name)
    };
    let untried: Vec<&String> = claimed.iter().filter(|name| !tried(name)).collect();
    assert!(untried.is_empty(), "claimed and not tried: {untried:?}");
}

#[tokio::test]
async fn a_patient_is_found_by_who_it_is() {
    let rich = Rich::new().await;
    let all = 2;
    for (query, found) in [
        ("patient.family=oster", all),
        ("patient:Patient.family=ostergard&patient.birthdate=1950-03-04", all),
        ("subject.given:exact=Åse", all),
        ("patient.name=dr", all),
        ("patient.birthdate=1950-03-04", all),
        ("patient.birthdate=1950-03-04&patient.gender=male", 0),
        ("patient.family=ostergard&patient.active=true", all),
        ("patient.family=ostergard&patient.gender:not=male", all),
        ("patient.family=smith", 0),
        ("patient=rich&patient.gender=female", all),
        ("patient=rich&patient.family:contains=gard", all),
        ("patient=rich&patient.birthdate=lt1950", 0),
        ("identifier={unique}&patient.gender=female", 1),
    ] {
        let old = rich.world.get(&format!("/fhir/DocumentReference/{}", rich.old)).await.expect(200).body;
        let unique = old["masterIdentifier"]["value"].as_str().expect("a value");
        let query = query.replace("{unique}", unique);
        let ids = rich.ids(&format!("DocumentReference?{query}")).await;
        assert_eq!(ids.len(), found, "{query}");
    }
    for query in [
        "patient.gender=female",
        "patient.active=true",
        "patient.family:contains=a",
        "patient.family:missing=true",
    ] {
        let reply = rich.world.get(&format!("/fhir/DocumentReference?{query}")).await.expect(400);
        assert_eq!(reply.codes(), ["search-too-broad"], "{query}: {}", reply.body);
    }
}

#[tokio::test]
async fn what_points_to_a_document_narrows_the_search_for_it() {
    let rich = Rich::new().await;
    let set = rich.world.get(&format!("/fhir/List/{}", rich.sets[0])).await.expect(200).body;
    let unique = set["identifier"][0]["value"].as_str().expect("a value");
    let mut both = [rich.old.clone(), rich.new.clone()];
    both.sort();
    let base = format!("DocumentReference?patient={}", rich.patient);
    assert_eq!(rich.ids(&format!("{base}&_has:List:item:code=folder")).await, both);
    assert_eq!(rich.ids(&format!("{base}&_has:List:item:identifier={unique}")).await, [rich.old.as_str()]);
    assert_eq!(
        rich.ids(&format!("DocumentReference?_has:List:item:identifier={unique}")).await,
        [rich.old.as_str()]
    );
    assert!(rich.ids(&format!("{base}&_has:List:item:title=nothing")).await.is_empty());
    assert_eq!(
        rich.ids(&format!("{base}&_has:DocumentReference:relatesto:relation=replaces")).await,
        [rich.old.as_str()]
    );
    let lists = format!("List?patient={}&_has:List:item:code=submissionset", rich.patient);
    assert_eq!(rich.ids(&lists).await, [rich.folder.as_str()]);
}

#[tokio::test]
async fn an_answer_holds_what_it_was_asked_to_include() {
    let rich = Rich::new().await;
    let world = &rich.world;
    let ask = async |query: &str| world.get(&format!("/fhir/{query}")).await.expect(200);
    let patient = rich.patient;
    let (old, new) = (format!("DocumentReference/{}", rich.old), format!("DocumentReference/{}", rich.new));
    let documents = format!("DocumentReference?patient={patient}&status=current");
    let reply = ask(&format!("{documents}&_include=DocumentReference:patient")).await;
    assert_eq!(reply.included(), [format!("Patient/{patient}")]);
    let entry = &reply.of_mode("include")[0];
    assert_eq!(entry["fullUrl"], format!("{IDENTITY}/Patient/{patient}"));
    assert_eq!(entry["resource"]["name"][0]["family"], "Østergård");
    assert_eq!(reply.body["total"].to_string(), "1", "included resources are not counted");
    assert_eq!(
        ask(&format!("{documents}&_include=DocumentReference:relatesto")).await.included(),
        std::slice::from_ref(&old)
    );
    assert_eq!(
        ask(&format!("{documents}&_include=*")).await.included(),
        [old.clone(), format!("Patient/{patient}")]
    );
    assert!(ask(&format!("{documents}&_include=DocumentReference:author")).await.included().is_empty());
    let mut lists =
        ask(&format!("DocumentReference?_id={}&_revinclude=List:item", rich.old)).await.included();
    let mut expected = vec![format!("List/{}", rich.folder), format!("List/{}", rich.sets[0])];
    lists.sort();
    expected.sort();
    assert_eq!(lists, expected);
    let back = format!("DocumentReference?_id={}&_revinclude=DocumentReference:relatesto", rich.old);
    assert_eq!(ask(&back).await.included(), std::slice::from_ref(&new));
    let folder = format!("List?_id={}&_include=List:item", rich.folder);
    let mut members = [old.clone(), new.clone()];
    members.sort();
    assert_eq!(ask(&folder).await.included(), members);
    let on = format!("{folder}&_include:iterate=DocumentReference:patient");
    assert_eq!(ask(&on).await.included().len(), 3);
    let around = format!(
        "List?patient={patient}&code=submissionset&_include:iterate=List:item&_revinclude:iterate=List:item"
    );
    assert_eq!(ask(&around).await.included().len(), 3, "what is found again is included once, and it ends");
}

#[tokio::test]
async fn an_answer_can_be_had_in_part() {
    let rich = Rich::new().await;
    let ask = async |query: &str| {
        let query = format!("/fhir/DocumentReference?patient={}&status=current&{query}", rich.patient);
        let reply = rich.world.get(&query).await.expect(200);
        let resource = reply.of_mode("match")[0]["resource"].clone();
        let names: Vec<String> = resource.as_object().expect("an object").keys().cloned().collect();
        let subsetted = resource["meta"]["tag"][0]["code"] == "SUBSETTED";
        (names, subsetted, reply.link("self").expect("a link"))
    };
    let (names, subsetted, link) = ask("_elements=type,masterIdentifier").await;
    let expected = ["resourceType", "id", "meta", "masterIdentifier", "status", "type", "content"];
    assert!(subsetted && link.contains("_elements=type,masterIdentifier"));
    assert!(expected.iter().all(|name| names.iter().any(|one| one == name)) && names.len() == 7, "{names:?}");
    let (names, subsetted, _) = ask("_summary=true").await;
    assert!(subsetted && !names.contains(&"context".to_owned()) && names.contains(&"subject".to_owned()));
    let (names, subsetted, _) = ask("_summary=text").await;
    assert!(subsetted && !names.contains(&"type".to_owned()), "{names:?}");
    let (names, subsetted, _) = ask("_summary=data").await;
    assert!(subsetted && names.contains(&"context".to_owned()));
    let (_, subsetted, _) = ask("_summary=false").await;
    assert!(!subsetted);
}

#[tokio::test]
async fn an_answer_is_sorted_by_every_key_that_is_named() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for (language, title) in [("de", "b"), ("de", "a"), ("en", "c"), ("en", "a")] {
        let mut bundle = provide("p1", document("x")).bundle();
        for entry in bundle["entry"].as_array_mut().expect("entries") {
            if entry["resource"]["resourceType"] == "DocumentReference" {
                entry["resource"]["content"][0]["attachment"]["language"] = language.into();
                entry["resource"]["description"] = title.repeat(100).into();
            }
        }
        expected.push(world.post(&bundle).await.expect(200).located("DocumentReference").remove(0));
    }
    let order = [2, 3, 1, 0].map(|n: usize| expected[n].clone());
    let query = "/fhir/DocumentReference?patient=p1&_sort=-language,description";
    let wanted = [order[1].clone(), order[0].clone(), order[2].clone(), order[3].clone()];
    assert_eq!(world.get(query).await.expect(200).matched(), wanted);
    // The same one by one: what a long text is sorted by does not make the address of a page long.
    let mut paged = Vec::new();
    let mut page = world.get(&format!("{query}&_count=1")).await.expect(200);
    loop {
        paged.extend(page.matched());
        let Some(next) = page.link("next") else { break };
        assert!(next.len() <= 1024);
        page = world.get(&next).await.expect(200);
    }
    assert_eq!(paged, wanted);
    for key in claimed(&world, "DocumentReference").await {
        let reply = world.get(&format!("/fhir/DocumentReference?patient=p1&_sort={key}")).await.expect(200);
        assert_eq!(reply.matched().len(), 4, "{key}");
    }
}

#[tokio::test]
async fn a_community_that_is_not_ours_is_refused() {
    let rich = Rich::new().await;
    for kind in ["DocumentReference", "List"] {
        let query = format!("/fhir/{kind}?patient=rich&targetCommunityIdList=urn:oid:9.9");
        assert_eq!(
            rich.world.get(&query).await.expect(400).codes(),
            ["XDSUnknownCommunity", "unknown-community"]
        );
    }
}

#[tokio::test]
async fn docref_gives_the_current_documents_of_a_patient() {
    let rich = Rich::new().await;
    let world = &rich.world;
    let query = "/fhir/DocumentReference/$docref?patient=rich&start=2020-01-30&end=2020-02-29&type=http://loinc.org%7C60591-5";
    let reply = world.get(query).await.expect(200);
    assert_eq!(reply.matched(), [rich.new.as_str()]);
    assert!(reply.link("self").expect("a link").contains("/DocumentReference/$docref?patient=rich&start="));
    let parameters = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "patient", "valueId": "rich" },
        { "name": "type", "valueCodeableConcept": { "coding": [{ "system": "http://loinc.org", "code": "60591-5" }] } },
        { "name": "profile", "valueCanonical": "http://example.org/profile" }
    ] });
    let request = world.request(Method::POST, "/fhir/DocumentReference/$docref").json(&parameters);
    let reply = world.send(request).await.expect(200);
    assert_eq!((reply.matched(), reply.of_mode("outcome").len()), (vec![rich.new.clone()], 1));
    assert!(
        world
            .get("/fhir/DocumentReference/$docref?patient=rich&on-demand=true")
            .await
            .expect(200)
            .matched()
            .is_empty()
    );
    world.get("/fhir/DocumentReference/$docref?start=2020").await.expect(400);
    world.register(&provide("rich", document("third"))).await.expect(200);
    let first = world.get("/fhir/DocumentReference/$docref?patient=rich&_count=1").await.expect(200);
    let next = first.link("next").expect("a second page");
    assert!(next.contains("/DocumentReference/$docref?_page="));
    assert_eq!(world.get(&next).await.expect(200).matched().len(), 1);
    world.get(&next.replace("/$docref", "")).await.expect(400);
}

/// Whatever is asked of one patient, nobody else's rows are looked at, and not more than that patient's own.
#[tokio::test]
async fn no_search_looks_at_the_rows_of_others() {
    let rich = Rich::new().await;
    for n in 0..60 {
        let patient = format!("other-{n}");
        let resource = fed(&patient, &patient, &format!("Family{n}"), "Al", "1980-01-01", "male");
        let request = rich.world.request(Method::PUT, &format!("/fhir/Patient/{patient}")).json(&resource);
        rich.world.send(request).await.expect(201);
        rich.world.register(&provide(&patient, document("x"))).await.expect(200);
    }
    let old = rich.world.get(&format!("/fhir/DocumentReference/{}", rich.old)).await.expect(200).body;
    let unique = old["masterIdentifier"]["value"].as_str().expect("a value").trim_start_matches("urn:oid:");
    let location = old["content"][0]["attachment"]["url"].as_str().expect("a url");
    let folder = rich.world.get(&format!("/fhir/List/{}", rich.folder)).await.expect(200).body;
    let listed = folder["identifier"][0]["value"].as_str().expect("a value");
    let fill = |query: &str| {
        let query = query.replace("{old}", &rich.old).replace("{new}", &rich.new);
        let query = query.replace("{unique}", unique).replace("{location}", location);
        query.replace("{folder}", &rich.folder).replace("{document}", unique).replace('|', "%7C")
    };
    // Two documents, two submission sets, one folder, and the patient itself: all there is of this patient.
    let own = 2 + 3 + 1;
    let patients = [
        "patient=rich".to_owned(),
        format!("patient.identifier={MRN}%7Crich-1"),
        "patient.family=ostergard".to_owned(),
    ];
    let mut questions = Vec::new();
    for patient in &patients {
        for (_, finds, excludes) in DOCUMENTS {
            questions
                .extend([finds, excludes].map(|one| format!("DocumentReference?{patient}&{}", fill(one))));
        }
        for (_, finds, excludes) in LISTS {
            questions.extend([finds, excludes].map(|one| format!("List?{patient}&{}", fill(one))));
        }
        questions.push(format!("DocumentReference?{patient}&_has:List:item:code=folder"));
    }
    questions.push(format!("DocumentReference?identifier=urn:oid:{unique}"));
    questions.push(format!("DocumentReference?_id={}", rich.old));
    questions.push(format!("DocumentReference?relatesto=DocumentReference/{}", rich.old));
    questions.push(format!("List?identifier={listed}"));
    questions.push(format!("List?item.identifier=urn:oid:{unique}"));
    questions.push(format!("DocumentReference?_has:List:item:identifier={listed}"));
    for question in &questions {
        let before = rich.store.looked_at();
        let reply = rich.world.get(&format!("/fhir/{question}")).await.expect(200);
        let looked = rich.store.looked_at() - before;
        let allowed = (own + reply.matched().len()) as u64;
        assert!(looked <= allowed, "{question} looked at {looked} rows, allowed are {allowed}");
    }
    // So it is where an answer goes on, however much was written in between.
    for question in [
        format!("DocumentReference?identifier=urn:oid:{unique},{}&_count=1",
            rich.world.get(&format!("/fhir/DocumentReference/{}", rich.new)).await.body["masterIdentifier"]["value"]
                .as_str().expect("a value")),
        "DocumentReference?patient=rich&_count=1".to_owned(),
    ] {
        let first = rich.world.get(&format!("/fhir/{question}")).await.expect(200);
        for n in 0..20 {
            rich.world.register(&provide(&format!("other-{n}"), document("y"))).await.expect(200);
        }
        let before = rich.store.looked_at();
        let second = rich.world.get(&first.link("next").expect("a second page")).await.expect(200);
        let looked = rich.store.looked_at() - before;
        assert_eq!(second.matched().len(), 1);
        assert!(looked <= (own + 3) as u64, "the second page of {question} looked at {looked} rows");
    }
}

/// Links to pages outlive a restart, and what is written meanwhile; long questions have short ones.
#[tokio::test]
async fn pages_go_on_after_a_restart() {
    let directory = tempfile::tempdir().expect("there is room");
    let start = || {
        let store = store::Store::open(&store::Options::new(directory.path())).expect("can be opened");
        World::over(Setup { store, secret: [7; 32], ..Setup::new(settings()) })
    };
    let mut world = start();
    world.feed("p1", 1, "one", true).await.expect(201);
    let mut registered = Vec::new();
    for n in 0..5 {
        let mut document = document(&n.to_string());
        document.creation = format!("2020-01-0{}T00:00:00Z", n + 1);
        registered
            .extend(world.register(&provide("p1", document)).await.expect(200).located("DocumentReference"));
    }
    let codes: Vec<String> =
        (0..99).map(|n| format!("http://loinc.org|{}-{}", 10_000 + 37 * n, n % 10)).collect();
    let form = [
        ("patient.identifier", format!("{MRN}|one")),
        ("type", format!("{},60591-5", codes.join(","))),
        ("_sort", "creation".to_owned()),
        ("_count", "2".to_owned()),
    ];
    let request = world.request(Method::POST, "/fhir/DocumentReference/_search").form(&form);
    let mut page = world.send(request).await.expect(200);
    let mut seen = page.matched();
    while let Some(next) = page.link("next") {
        assert!(next.len() <= 1024, "{} bytes", next.len());
        assert!(!page.link("first").expect("a first page").contains("one"), "no identifier in an address");
        world.register(&provide("p1", document("in between"))).await.expect(200);
        let place = next.split("/fhir/").nth(1).expect("a path").to_owned();
        world.end();
        world = start();
        page = world.get(&format!("/fhir/{place}")).await.expect(200);
        assert_eq!(page.body["total"].to_string(), "5");
        seen.extend(page.matched());
    }
    assert_eq!(seen, registered);
}
