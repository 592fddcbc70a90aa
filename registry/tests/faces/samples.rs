//! Submissions of XDS with whatever the framework can say, also where FHIR would say it otherwise.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use xds::hl7::dtm;
use xds::{
    Association, AssociationType, Author, Code, DocumentEntry, EntryUuid, Folder, Identifier, ObjectRef,
    Patient, Profile, Slot, Submission, SubmissionSet, Timestamp,
};

fn text() -> impl Strategy<Value = String> {
    "[!-~äöß]([ -~äöß\\n\\t]{0,22}[!-~äöß])?"
}

fn word() -> impl Strategy<Value = String> {
    "[A-Za-z0-9&^|~\\\\._-]([A-Za-z0-9&^|~\\\\ ._-]{0,14}[A-Za-z0-9&^|~\\\\._-])?"
}

fn part() -> impl Strategy<Value = String> {
    "[A-Za-z0-9\\\\._-]{1,8}"
}

fn oid() -> impl Strategy<Value = String> {
    "[12]\\.[1-9][0-9]{0,3}\\.[1-9][0-9]{0,6}"
}

fn identifier() -> impl Strategy<Value = Identifier> {
    prop_oneof![
        oid().prop_map(|oid| xds::identifier::unique_id_of(&oid)),
        (oid(), "[a-z0-9-]{1,12}")
            .prop_map(|(root, value)| xds::identifier::unique_id_of(&format!("{root}^{value}"))),
        "[A-Za-z0-9]{1,12}".prop_map(|text| xds::identifier::unique_id_of(&text)),
    ]
    .prop_filter("a name", |identifier| !identifier.value.trim().is_empty())
}

fn code() -> impl Strategy<Value = Code> {
    let system = prop_oneof![
        oid().prop_map(|oid| format!("urn:oid:{oid}")),
        oid(),
        Just("http://loinc.org".to_owned()),
        Just("Connect-a-thon classCodes".to_owned()),
    ];
    let code = prop_oneof!["[A-Za-z0-9-]{1,10}", "[A-Za-z]{1,4}  [a-z]{1,4}"];
    (system, code, of(text())).prop_map(|(system, code, display)| Code { system, code, display })
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just("2004"),
        Just("200412"),
        Just("20041225"),
        Just("2004122523"),
        Just("200412252350"),
        Just("20041225235011"),
    ]
    .prop_map(|text| dtm::read(text).expect("a time"))
}

fn person() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("7^Welby^Marcus^J. K.^Jr.^Dr.^MD^^&1.2.3&ISO".to_owned()),
        Just("^Smitty^Gerald".to_owned()),
        Just("Gerald Smitty".to_owned()),
        part(),
        // An id or a family name there is; all else may be odd.
        (part(), part(), word()).prop_map(|(a, b, c)| format!("{a}^{b}^{c}^^^^^^&1.2.3&ISO^L")),
    ]
}

fn author() -> impl Strategy<Value = Author> {
    let institution = prop_oneof![
        Just("Some Hospital^^^^^&1.2.3&ISO^^^^45".to_owned()),
        Just("Some Hospital^^^^^^^^^1.2.3.4".to_owned()),
        word()
    ];
    let telecom =
        prop_oneof![Just("^^Internet^a@b".to_owned()), Just("^PRS^PH^^1^555^5551212^37".to_owned()), word()];
    let role = || prop_oneof![Just("Attending".to_owned()), Just("1^^^&1.2.3&ISO".to_owned()), word()];
    (of(person()), vec(institution, 0..3), vec(role(), 0..3), vec(role(), 0..3), vec(telecom, 0..3))
        .prop_map(|(person, institutions, roles, specialties, telecommunications)| Author {
            person,
            institutions,
            roles,
            specialties,
            telecommunications,
            ..Author::default()
        })
        .prop_filter("XDS says something of an author", |author| {
            author.person.is_some()
                || !author.institutions.is_empty()
                || !author.telecommunications.is_empty()
        })
}

fn slots() -> impl Strategy<Value = Vec<Slot>> {
    let slot = ("urn:[a-z]{1,8}:[a-z]{1,8}", vec("[!-~]{0,12}", 0..3)).prop_map(|(name, values)| Slot {
        name,
        kind: None,
        values,
    });
    vec(slot, 0..3)
}

fn patient() -> Patient {
    let identifier = Identifier { system: "urn:oid:1.2.3".to_owned(), value: "p1".to_owned() };
    Patient { identifier: Some(identifier), ..Patient::default() }
}

fn document(number: usize) -> impl Strategy<Value = DocumentEntry> {
    let names = (identifier(), any::<bool>(), of(text()), of(text()), of(oid()), any::<bool>());
    let codes = (code(), code(), code(), vec(code(), 1..3), vec(code(), 0..3), code(), code());
    let times = (time(), of(time()), of(time()));
    let people = (vec(author(), 0..3), of(person()));
    let lines = vec(
        prop_oneof![
            Just("PID-3|1^^^&1.2&ISO~2^^^&1.2&ISO".to_owned()),
            Just("PID-5|Doe^John^Q".to_owned()),
            Just("PID-7|19560527".to_owned()),
            Just("PID-8|M".to_owned()),
            Just("PID-11|100 Main St^^Metropolis^Il^44130^USA".to_owned()),
            Just("PID-13|^PRN^PH^^^^5".to_owned()),
        ],
        0..4,
    );
    let references = vec(
        prop_oneof![
            Just("7^^^&1.2&ISO^urn:ihe:iti:xds:2013:accession".to_owned()),
            Just("e^^^&1.3&ISO^urn:ihe:iti:xds:2015:encounterId".to_owned()),
            Just("1.2.3.4^^^^urn:ihe:iti:xds:2016:studyInstanceUID".to_owned()),
            Just("8^^^NAME&1.2&ISO^local^&1.9&ISO".to_owned()),
        ],
        0..4,
    );
    let others = (
        lines,
        references,
        slots(),
        of(Just("urn:oid:1.2.9".to_owned())),
        of(any::<bool>()),
        of("[!-~]{1,20}"),
    );
    (names, codes, times, people, others).prop_map(move |(names, codes, times, people, others)| {
        let mut entry = DocumentEntry::new(format!("Document{number}"), names.0);
        entry.unique_id.value.push_str(&number.to_string());
        entry.entry_uuid = names.1.then(|| EntryUuid::from(uuid::Uuid::from_u128(number as u128 + 1)));
        (entry.title, entry.comments) = (names.2.map(|title| title.replace('\n', " ")), names.3);
        entry.limited_metadata = names.5;
        (entry.patient, entry.mime_type, entry.language) =
            (patient(), "text/plain".to_owned(), Some("en-US".to_owned()));
        entry.type_code = Some(codes.0);
        entry.class_codes = vec![codes.1];
        entry.format_code = Some(codes.2);
        (entry.confidentiality_codes, entry.event_codes) = (codes.3, codes.4);
        (entry.facility_codes, entry.practice_setting_codes) = (vec![codes.5], vec![codes.6]);
        (entry.creation_time, entry.service_start, entry.service_stop) = (Some(times.0), times.1, times.2);
        (entry.authors, entry.legal_authenticator) = people;
        entry.source_patient_ids =
            vec![Identifier { system: "urn:oid:1.2.3".to_owned(), value: "local".to_owned() }];
        (
            entry.source_patient_info,
            entry.reference_id_list,
            entry.extra,
            entry.home,
            entry.online,
            entry.uri,
        ) = others;
        entry.carried.ebxml = names.4.map(|oid| format!("<rim:ContentVersionInfo versionName=\"{oid}\"/>"));
        entry
    })
}

pub(crate) fn submission() -> impl Strategy<Value = Submission> {
    let set = (vec(author(), 0..3), of(text()), of(text()), time(), slots(), vec(person(), 0..2), code());
    let folder = (identifier(), vec(code(), 1..3), text(), of(text()), slots());
    let associations = (0..5_u8, any::<bool>(), of(code()), slots());
    (set, document(0), document(1), folder, associations).prop_map(|(set, one, two, folder, association)| {
        let source =
            Identifier { system: "urn:ietf:rfc:3986".to_owned(), value: "urn:oid:1.2.3.4".to_owned() };
        let mut of_set = SubmissionSet::new("SubmissionSet01", source, set.3);
        of_set.unique_id = Some(xds::identifier::unique_id_of("1.2.3.9"));
        (of_set.authors, of_set.title, of_set.comments, of_set.extra) =
            (set.0, set.1.map(|title| title.replace('\n', " ")), set.2, set.4);
        of_set.intended_recipients =
            set.5.into_iter().map(|person| format!("Hospital|{person}|^^Internet^a@b")).collect();
        of_set.content_type_codes = vec![set.6];
        of_set.patient = patient();
        let mut of_folder = Folder::new("Folder01");
        of_folder.unique_id = Some(folder.0);
        (of_folder.codes, of_folder.title, of_folder.comments, of_folder.extra) =
            (folder.1, Some(folder.2), folder.3, folder.4);
        of_folder.patient = patient();
        let symbol = |name: &str| ObjectRef::Symbol(name.to_owned());
        let registered = |number: u128| ObjectRef::Registered(EntryUuid::from(uuid::Uuid::from_u128(number)));
        let has = |from: ObjectRef, to: ObjectRef, number: usize| {
            Association::new(AssociationType::HasMember, from, to, format!("Association[@id='as{number}']"))
        };
        let set = || symbol("SubmissionSet01");
        let mut associations = vec![
            has(set(), symbol("Document0"), 1),
            has(set(), symbol("Document1"), 2),
            has(set(), symbol("Folder01"), 3),
            has(symbol("Folder01"), symbol("Document0"), 4),
            has(registered(900), symbol("Document1"), 5),
            has(set(), registered(901), 6),
            has(set(), symbol("as5"), 8),
        ];
        associations[4].symbol = "as5".to_owned();
        let kind = match association.0 {
            0 => AssociationType::Replace,
            1 => AssociationType::Transform,
            2 => AssociationType::TransformReplace,
            3 => AssociationType::Append,
            _ => AssociationType::IsSnapshotOf,
        };
        let mut relation =
            Association::new(kind, symbol("Document0"), registered(902), "Association[@id='as7']");
        relation.entry_uuid = association.1.then(|| EntryUuid::from(uuid::Uuid::from_u128(903)));
        (relation.documentation, relation.extra) = (association.2, association.3);
        associations.push(relation);
        let place = |kind: &str, symbol: &str| (symbol.to_owned(), format!("{kind}[@id='{symbol}']"));
        Submission {
            profile: Profile::Comprehensive,
            submission_set: of_set,
            documents: vec![one, two],
            folders: vec![of_folder],
            associations,
            places: vec![
                place("RegistryPackage", "SubmissionSet01"),
                place("ExtrinsicObject", "Document0"),
                place("ExtrinsicObject", "Document1"),
                place("RegistryPackage", "Folder01"),
            ],
        }
    })
}
