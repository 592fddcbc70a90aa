//! Patches, applied.

use serde_json::json;

use super::*;

fn document() -> Value {
    json!({
        "resourceType": "DocumentReference",
        "id": "1",
        "status": "current",
        "identifier": [{ "system": "urn:a", "value": "1" }, { "system": "urn:b", "value": "2" }],
        "category": [{ "coding": [{ "code": "x" }] }],
        "extension": [{ "url": "http://e/1", "valueString": "one" }],
        "content": [{ "attachment": { "contentType": "text/plain", "title": "before" } }]
    })
}

fn parameters(operations: &[Value]) -> Value {
    let operations: Vec<Value> =
        operations.iter().map(|parts| json!({ "name": "operation", "part": parts })).collect();
    json!({ "resourceType": "Parameters", "parameter": operations })
}

fn fhirpath(operations: &[Value]) -> Result<Value, Findings> {
    Patch::parameters(&parameters(operations))?.apply(&document(), 1 << 20)
}

fn json_patch(operations: Value) -> Result<Value, Findings> {
    Patch::json(&operations)?.apply(&document(), 1 << 20)
}

#[test]
fn a_json_patch_is_applied_operation_by_operation() {
    let patched = json_patch(json!([
        { "op": "test", "path": "/status", "value": "current" },
        { "op": "replace", "path": "/content/0/attachment/title", "value": "after" },
        { "op": "add", "path": "/category/-", "value": { "text": "y" } },
        { "op": "remove", "path": "/identifier/0" },
        { "op": "copy", "from": "/content/0/attachment/title", "path": "/description" },
        { "op": "add", "path": "/extension/0/valueDecimal", "value": 1 },
    ]))
    .expect("it fits");
    assert_eq!(patched["content"][0]["attachment"]["title"], "after");
    assert_eq!(patched["description"], "after");
    assert_eq!(patched["category"][1]["text"], "y");
    assert_eq!(patched["identifier"], json!([{ "system": "urn:b", "value": "2" }]));
}

#[test]
fn numbers_keep_their_digits() {
    let body: Value =
        serde_json::from_str(r#"[{"op":"add","path":"/extension/0/valueDecimal","value":1.50}]"#)
            .expect("JSON");
    let patched = json_patch(body).expect("it fits");
    assert_eq!(patched["extension"][0]["valueDecimal"].to_string(), "1.50");
}

#[test]
fn a_test_that_does_not_hold_says_what_stands() {
    let findings = json_patch(json!([{ "op": "test", "path": "/status", "value": "superseded" }]))
        .expect_err("the test does not hold");
    assert_eq!((findings[0].rule, findings[0].at.path.as_str()), (Rule::PatchTestFailed, "Patch[0]"));
    assert!(findings[0].text.contains("\"current\""), "{}", findings[0].text);
}

#[test]
fn a_wrong_json_patch_is_told_where() {
    let findings = Patch::json(&json!([
        { "op": "remove", "path": "/a" },
        { "op": "twist", "path": "/a" },
        { "op": "add", "path": "a", "value": 1 },
        { "op": "move", "path": "/a" },
    ]))
    .expect_err("three of four are wrong");
    let places: Vec<_> = findings.iter().map(|finding| finding.at.path.as_str()).collect();
    assert_eq!(places, ["Patch[1]", "Patch[2]", "Patch[3]"]);
    assert_eq!(Patch::json(&json!({})).expect_err("no array")[0].rule, Rule::Structure);
    let nowhere = json_patch(json!([{ "op": "replace", "path": "/content/3/format", "value": 1 }]));
    assert_eq!(nowhere.expect_err("nothing there")[0].rule, Rule::PatchNotApplicable);
}

#[test]
fn copies_of_copies_do_not_grow_without_end() {
    let copy = json!({ "op": "copy", "from": "/extension", "path": "/extension/-" });
    let findings = json_patch(Value::Array(vec![copy; 60])).expect_err("it grows beyond the limit");
    assert_eq!(findings[0].rule, Rule::TooCostly);
    let many = vec![json!({ "op": "remove", "path": "/a" }); 201];
    assert_eq!(Patch::json(&Value::Array(many)).expect_err("too many")[0].rule, Rule::TooCostly);
}

#[test]
fn the_patch_of_mhd_supersedes() {
    let patched = fhirpath(&[json!([
        { "name": "type", "valueCode": "replace" },
        { "name": "path", "valueString": "DocumentReference.status" },
        { "name": "value", "valueCode": "superseded" },
    ])])
    .expect("it fits");
    assert_eq!(patched["status"], "superseded");
}

#[test]
fn elements_are_added_inserted_replaced_moved_and_deleted() {
    let path = |path: &str| json!({ "name": "path", "valueString": path });
    let kind = |kind: &str| json!({ "name": "type", "valueCode": kind });
    let patched = fhirpath(&[
        json!([
            kind("add"),
            path("DocumentReference"),
            { "name": "name", "valueString": "description" },
            { "name": "value", "valueString": "words" },
        ]),
        json!([
            kind("add"),
            path("DocumentReference"),
            { "name": "name", "valueString": "securityLabel" },
            { "name": "value", "valueCodeableConcept": { "coding": [{ "code": "R" }] } },
        ]),
        json!([
            kind("add"),
            path("DocumentReference"),
            { "name": "name", "valueString": "context" },
            { "name": "value", "part": [
                { "name": "event", "valueCodeableConcept": { "text": "e" } },
                { "name": "facilityType", "valueCodeableConcept": { "text": "f" } },
            ] },
        ]),
        json!([
            kind("add"),
            path("DocumentReference.category[0]"),
            { "name": "name", "valueString": "extension" },
            { "name": "value", "part": [
                { "name": "url", "valueUri": "http://e/2" },
                { "name": "value", "valueBoolean": true },
            ] },
        ]),
        json!([
            kind("replace"),
            path("DocumentReference.content.first().attachment.title"),
            { "name": "value", "valueString": "after" },
        ]),
        json!([
            kind("replace"),
            path("DocumentReference.identifier.where(system = 'urn:b' and value='2').value"),
            { "name": "value", "valueString": "3" },
        ]),
        json!([
            kind("insert"),
            path("DocumentReference.identifier"),
            { "name": "index", "valueInteger": 0 },
            { "name": "value", "valueIdentifier": { "value": "first" } },
        ]),
        json!([
            kind("move"),
            path("DocumentReference.identifier"),
            { "name": "source", "valueInteger": 0 },
            { "name": "destination", "valueInteger": 2 },
        ]),
        json!([kind("delete"), path("DocumentReference.extension('http://e/1')")]),
        json!([kind("delete"), path("DocumentReference.date")]),
    ])
    .expect("everything fits");
    let expected = json!({
        "resourceType": "DocumentReference",
        "id": "1",
        "status": "current",
        "identifier": [{ "system": "urn:a", "value": "1" }, { "system": "urn:b", "value": "3" }, { "value": "first" }],
        "category": [{ "coding": [{ "code": "x" }], "extension": [{ "url": "http://e/2", "valueBoolean": true }] }],
        "content": [{ "attachment": { "contentType": "text/plain", "title": "after" } }],
        "description": "words",
        "securityLabel": [{ "coding": [{ "code": "R" }] }],
        "context": { "event": [{ "text": "e" }], "facilityType": { "text": "f" } },
    });
    assert_eq!(patched, expected);
}

#[test]
fn what_does_not_fit_is_told_with_its_path() {
    let part = |name: &str, value: &str| json!({ "name": name, "valueString": value });
    for (parts, word) in [
        (
            json!([part("type", "replace"), part("path", "DocumentReference.date"), part("value", "2020")]),
            "nothing",
        ),
        (json!([part("type", "delete"), part("path", "DocumentReference.identifier")]), "2 elements"),
        (json!([part("type", "delete"), part("path", "DocumentReference")]), "itself"),
        (
            json!([
                part("type", "add"),
                part("path", "DocumentReference"),
                part("name", "nose"),
                part("value", "x")
            ]),
            "no element nose",
        ),
        (
            json!([
                part("type", "add"),
                part("path", "DocumentReference"),
                part("name", "status"),
                part("value", "x")
            ]),
            "does not repeat",
        ),
    ] {
        let findings = fhirpath(&[parts]).expect_err(word);
        assert_eq!(findings[0].at.path, "Parameters.parameter[0]");
        assert!(findings[0].text.contains(word), "{}", findings[0].text);
    }
}

#[test]
fn a_path_beyond_ours_is_refused_with_what_is_taken() {
    let part = |name: &str, value: &str| json!({ "name": name, "valueString": value });
    for path in
        ["DocumentReference.identifier.all(true)", "a..b", "a[x]", "a.where(b)", "a.where(b='c)", "", "a b"]
    {
        let read = Patch::parameters(&parameters(&[json!([part("type", "delete"), part("path", path)])]));
        let findings = read.expect_err(path);
        assert!(
            findings.iter().any(|finding| finding.at.path.starts_with("Parameters.parameter[0]")),
            "{path}"
        );
    }
    for wrong in [
        json!([part("type", "twist"), part("path", "a")]),
        json!([part("type", "delete")]),
        json!([part("type", "insert"), part("path", "a"), part("value", "x")]),
        json!([part("type", "replace"), part("path", "a")]),
    ] {
        assert!(Patch::parameters(&parameters(std::slice::from_ref(&wrong))).is_err(), "{wrong}");
    }
    assert!(Patch::parameters(&parameters(&[])).is_err(), "nothing to do");
    assert!(Patch::parameters(&document()).is_err(), "no Parameters");
}

#[test]
fn a_patch_does_not_nest_without_end() {
    // Each copy of the whole into its own depth doubles that.
    let mut operations = vec![json!({ "op": "add", "path": "", "value": { "a": {} } })];
    let mut path = "/a".to_owned();
    for _ in 0..16 {
        operations.push(json!({ "op": "copy", "from": "", "path": format!("{path}/a") }));
        path = format!("{path}/a{path}");
    }
    let findings = json_patch(Value::Array(operations)).expect_err("it would end the process");
    assert_eq!(findings[0].rule, Rule::Structure, "{findings:?}");
    // The same by values that are added one below the other.
    let deep = (0..40).fold(json!({}), |inner, _| json!({ "a": inner }));
    let below = "/a".repeat(40);
    let findings = json_patch(json!([
        { "op": "add", "path": "/a", "value": deep }, { "op": "add", "path": format!("{below}/a"), "value": deep },
    ]));
    assert_eq!(findings.expect_err("80 levels")[0].rule, Rule::Structure);
}

#[test]
fn a_patch_copies_and_grows_within_limits() {
    let title = json!({ "op": "add", "path": "/content/0/attachment/title", "value": "x".repeat(600_000) });
    let copy = json!({ "op": "copy", "from": "/content/0/attachment/title", "path": "/description" });
    let findings = json_patch(json!([title, copy, copy])).expect_err("copied twice");
    assert_eq!(findings[0].rule, Rule::TooCostly);
    let more = json!({ "op": "add", "path": "/description", "value": "x".repeat(600_000) });
    let findings = json_patch(json!([title, more])).expect_err("1.2 MB where 1 MiB is taken");
    assert!(findings[0].text.contains("server.limits.max_body_bytes"), "{findings:?}");
}

#[test]
fn a_path_is_no_longer_than_anybody_needs() {
    let tests = ["status = 'current'"; 10].join(" and ");
    let delete = |path: &str| {
        let parts =
            json!([{ "name": "type", "valueCode": "delete" }, { "name": "path", "valueString": path }]);
        [parts]
    };
    let findings = fhirpath(&delete(&format!("DocumentReference.where({tests})"))).expect_err("10 tests");
    assert_eq!(findings[0].rule, Rule::Value, "{findings:?}");
    let findings = fhirpath(&delete(&"a".repeat(5000))).expect_err("5,000 letters");
    assert!(findings[0].text.len() < 1000, "{findings:?}");
}

proptest::proptest! {
    #[test]
    fn no_path_panics(path in "(DocumentReference|content|[a-z]{1,4}|where\\([a-z=' ]{0,12}\\)|first\\(\\)|\\[[0-9]{1,22}\\]|extension\\('[^a]{0,3}'\\)|[.'\\\\(é ]){0,6}", index in 0..3_u32) {
        for kind in ["add", "insert", "delete", "replace", "move"] {
            let _ = fhirpath(&[json!([
                { "name": "type", "valueCode": kind },
                { "name": "path", "valueString": path },
                { "name": "name", "valueString": "description" },
                { "name": "value", "valueString": "x" },
                { "name": "index", "valueInteger": index },
                { "name": "source", "valueInteger": index },
                { "name": "destination", "valueInteger": 0 },
            ])]);
        }
    }

    #[test]
    fn no_pointer_panics(
        operations in proptest::collection::vec(
            ("(add|remove|replace|move|copy|test)", "(/(content|0|1|-|attachment|extension|~0|~1|~|é|99999999999999999999)){0,4}", "(/(content|0|attachment|title|extension)){0,4}"),
            0..6,
        )
    ) {
        let operations: Vec<Value> = operations
            .into_iter()
            .map(|(op, path, from)| json!({ "op": op, "path": path, "from": from, "value": { "x": [1] } }))
            .collect();
        let _ = json_patch(Value::Array(operations));
    }
}
