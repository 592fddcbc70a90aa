"""fhirclient (SMART, Python): strict models of every resource, which refuse what R4 does not know."""

import hashlib
import uuid

import requests
from fhirclient import client
from fhirclient.models.bundle import Bundle
from fhirclient.models.documentreference import DocumentReference
from fhirclient.models.list import List
from fhirclient.models.operationoutcome import OperationOutcome
from fhirclient.models.patient import Patient
from stage import DOMAIN, IDENTITY, REGISTRY, REPOSITORY, Submission, created, patient, run, same


def server(base):
    return client.FHIRClient(settings={"app_id": "docshare-trial", "api_base": base}).server


registry, repository, identity = server(REGISTRY), server(REPOSITORY), server(IDENTITY)


def capability(known):
    for each in (registry, repository, identity):
        each.prepare()
        assert each.ready, "the client may ask without a token"
        statement = each.capabilityStatement
        same(statement.fhirVersion, "4.0.1", "fhirVersion")
        same(statement.as_json()["kind"], "instance", "the kind")


def feed(known):
    number = f"smart-python-{uuid.uuid4()}"
    model = Patient(patient(number))
    answer = identity.put_json(f"Patient?identifier={DOMAIN}|{number}", model.as_json())
    same(answer.status_code, 201, "the status")
    fed = Patient(answer.json())
    known["patient"] = f"{IDENTITY}/Patient/{fed.id}"
    known["number"] = number
    same(Patient.read(fed.id, identity).name[0].family, "Quidproquo", "the name")


def submit(known):
    known["ids"] = []
    for n in range(5):
        submission = Submission(known["patient"], f"letter {n}")
        answer = repository.post_json("", Bundle(submission.bundle).as_json()).json()
        Bundle(answer)
        known["ids"].append(created(answer, "DocumentReference"))
    known["content"] = submission.content


def search(known):
    struct = {"patient": known["patient"], "status": "current", "_count": "2"}
    found = list(DocumentReference.where(struct).perform_resources_iter(registry))
    same(sorted(each.id for each in found), sorted(known["ids"]), "what all pages hold")
    pages = list(DocumentReference.where(struct).perform_iter(registry))
    same(len(pages), 3, "the pages")
    same(pages[0].total, 5, "the total")
    struct = {"patient.identifier": f"{DOMAIN}|{known['number']}", "code": "submissionset", "status": "current"}
    same(len(list(List.where(struct).perform_resources_iter(registry))), 5, "the submission sets")


def include(known):
    struct = {"patient": known["patient"], "status": "current"}
    bundles = list(DocumentReference.where(struct).include("subject").perform_iter(registry))
    modes = [entry.search.mode for bundle in bundles for entry in bundle.entry]
    same(modes.count("match"), 5, "the matches")


def read(known):
    reference = DocumentReference.read(known["ids"][-1], registry)
    same(reference.status, "current", "the status")
    same(reference.as_json()["content"][0]["attachment"]["creation"][:4], "2024", "the year of creation")
    known["reference"] = reference


def retrieve(known):
    attachment = known["reference"].content[0].attachment
    content = registry.request_data(attachment.url, headers={"Accept": attachment.contentType})
    same(hashlib.sha1(content).hexdigest(), hashlib.sha1(known["content"]).hexdigest(), "the hash")


def replace(known):
    old = known["ids"][0]
    bundle = Submission(known["patient"], "corrected", replaces=old).bundle
    new = created(repository.post_json("", bundle).json(), "DocumentReference")
    same(DocumentReference.read(old, registry).status, "superseded", "the old one's status")
    same(DocumentReference.read(new, registry).relatesTo[0].code, "replaces", "the relation")


def update(known):
    """The client has no patch and sends no If-Match by itself; its session carries the header."""
    reference = DocumentReference.read(known["ids"][1], registry)
    reference.description = "Read by the family doctor"
    registry.session.headers["If-Match"] = f'W/"{reference.meta.versionId}"'
    try:
        answer = reference.update(registry)
    finally:
        del registry.session.headers["If-Match"]
    same(DocumentReference(answer).description, "Read by the family doctor", "the description")
    same(answer["meta"]["versionId"], "2", "the version")


def validate(known):
    bundle = Submission(known["patient"], "only a question").bundle
    outcome = OperationOutcome(repository.post_json("Bundle/$validate", bundle).json())
    severities = {issue.severity for issue in outcome.issue}
    assert not severities & {"error", "fatal"}, f"a sound bundle is found sound: {outcome.as_json()}"


def mistake(known):
    bundle = Submission(f"{IDENTITY}/Patient/{uuid.uuid4()}", "for nobody").bundle
    try:
        repository.post_json("", bundle)
        raise AssertionError("a document of an unknown patient is taken")
    except requests.HTTPError as refused:
        outcome = OperationOutcome(refused.response.json())
        assert outcome.issue[0].diagnostics, "a sentence tells what is wrong"


run(
    "fhirclient-python",
    [
        ("capability", capability),
        ("feed", feed),
        ("submit", submit),
        ("search", search),
        ("include", include),
        ("read", read),
        ("retrieve", retrieve),
        ("replace", replace),
        ("update", update),
        ("validate", validate),
        ("mistake", mistake),
    ],
)
