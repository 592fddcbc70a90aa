"""fhirpy, as its documentation shows it: clients of a base, resources as dictionaries, search sets."""

import hashlib
import uuid

import requests
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound
from stage import (
    DOMAIN,
    IDENTITY,
    REGISTRY,
    REPOSITORY,
    Submission,
    created,
    patient,
    run,
    same,
)

registry = SyncFHIRClient(REGISTRY)
repository = SyncFHIRClient(REPOSITORY)
identity = SyncFHIRClient(IDENTITY)


def capability(known):
    for client in (registry, repository, identity):
        same(client.execute("metadata", method="get")["fhirVersion"], "4.0.1", "fhirVersion")


def feed(known):
    number = f"fhirpy-{uuid.uuid4()}"
    fed = identity.resource("Patient", **patient(number))
    search = {"identifier": f"{DOMAIN}|{number}"}
    answer, made = identity.resources("Patient").search(**search).update(fed)
    assert made, "the patient is new"
    known["number"] = number
    known["patient"] = f"{IDENTITY}/Patient/{answer['id']}"
    answer["birthDate"] = "1958-01-31"
    answer, made = identity.resources("Patient").search(**search).update(answer)
    assert not made, "the patient is known"
    same(answer["birthDate"], "1958-01-31", "the birth date")
    same(identity.reference("Patient", answer["id"]).to_resource()["birthDate"], "1958-01-31", "the birth date")


def submit(known):
    known["ids"] = []
    for n in range(5):
        submission = Submission(known["patient"], f"letter {n}")
        answer = repository.execute("/", data=submission.bundle)
        same(answer["type"], "transaction-response", "the answer")
        known["ids"].append(created(answer, "DocumentReference"))
    known["content"] = submission.content


def documents(known):
    found = registry.resources("DocumentReference")
    return found.search(patient=known["patient"], status="current")


def search(known):
    found = [reference["id"] for reference in documents(known).limit(2)]
    same(sorted(found), sorted(known["ids"]), "what all pages hold")
    same(documents(known).count(), 5, "the count")
    by_number = registry.resources("DocumentReference").search(
        **{"patient.identifier": f"{DOMAIN}|{known['number']}", "status": "current"}
    )
    same(len(by_number.fetch_all()), 5, "what is found by the patient's number")
    typed = documents(known).search(type="http://loinc.org|18842-5").sort("-date").fetch()
    same(len(typed), 5, "what is found by type")
    lists = registry.resources("List").search(patient=known["patient"], code="submissionset", status="current")
    same(len(lists.fetch_all()), 5, "the submission sets")


def read(known):
    reference = registry.reference("DocumentReference", known["ids"][-1]).to_resource()
    same(reference["status"], "current", "the status")
    known["reference"] = reference
    try:
        registry.reference("DocumentReference", str(uuid.uuid4())).to_resource()
        raise AssertionError("a document nobody has is read")
    except ResourceNotFound:
        pass


def retrieve(known):
    attachment = known["reference"]["content"][0]["attachment"]
    answer = requests.get(attachment["url"], headers={"Accept": attachment["contentType"]}, timeout=10)
    answer.raise_for_status()
    same(hashlib.sha1(answer.content).hexdigest(), hashlib.sha1(known["content"]).hexdigest(), "the hash")
    same(len(answer.content), attachment["size"], "the size")


def replace(known):
    old = known["ids"][0]
    answer = repository.execute("", data=Submission(known["patient"], "corrected", replaces=old).bundle)
    new = created(answer, "DocumentReference")
    same(registry.reference("DocumentReference", old).to_resource()["status"], "superseded", "the old one's status")
    relation = registry.reference("DocumentReference", new).to_resource()["relatesTo"][0]
    same(relation["code"], "replaces", "the relation")


def patch(known):
    id = known["ids"][1]
    patching = SyncFHIRClient(REGISTRY, extra_headers={"Content-Type": "application/json-patch+json"})
    operations = [{"op": "replace", "path": "/description", "value": "Read by the family doctor"}]
    answer = patching.execute(f"DocumentReference/{id}", method="patch", data=operations)
    same(answer["description"], "Read by the family doctor", "the description")
    same(answer["meta"]["versionId"], "2", "the version")
    try:
        registry.patch("DocumentReference", id, description="as a plain object")
        raise AssertionError("an object is taken for a patch")
    except OperationOutcome as refused:
        assert "json-patch" in str(refused.resource), f"it is told what is taken: {refused}"


def validate(known):
    bundle = Submission(known["patient"], "only a question").bundle
    answer = repository.execute("Bundle/$validate", data=bundle)
    same(answer["resourceType"], "OperationOutcome", "the answer")
    severities = {issue["severity"] for issue in answer["issue"]}
    assert not severities & {"error", "fatal"}, f"a sound bundle is found sound: {answer['issue']}"
    same(documents(known).count(), 5, "nothing was stored by asking; the count")


def mistake(known):
    bundle = Submission(known["patient"], "without a type").bundle
    del bundle["entry"][1]["resource"]["type"]
    try:
        repository.execute("", data=bundle)
        raise AssertionError("a comprehensive document without a type is taken")
    except OperationOutcome as refused:
        places = [place for issue in refused.resource["issue"] for place in issue.get("expression", [])]
        assert any("type" in place for place in places), f"the place is told: {refused.resource}"


run(
    "fhirpy",
    [
        ("capability", capability),
        ("feed", feed),
        ("submit", submit),
        ("search", search),
        ("read", read),
        ("retrieve", retrieve),
        ("replace", replace),
        ("patch", patch),
        ("validate", validate),
        ("mistake", mistake),
    ],
)
