"""curl, as people type it: no Accept but curl's own, forms by --data-urlencode, answers looked at as they come."""

import hashlib
import json
import subprocess
import tempfile
import uuid

from stage import DOMAIN, IDENTITY, REGISTRY, REPOSITORY, Submission, created, patient, run, same

FHIR = "Content-Type: application/fhir+json"


def curl(*arguments, body=None):
    """Status, headers (names in small letters) and body of the last answer."""
    with tempfile.NamedTemporaryFile() as heads, tempfile.NamedTemporaryFile() as content:
        command = ["curl", "-sS", "-D", heads.name, "-o", content.name, "-w", "%{http_code}"]
        if body is not None:
            command += ["--data-binary", "@-"]
        done = subprocess.run(
            [*command, *arguments],
            input=json.dumps(body).encode() if body is not None else None,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        lines = [line.split(":", 1) for line in heads.read().decode().splitlines() if ":" in line]
        headers = {name.strip().lower(): value.strip() for name, value in lines}
        return int(done.stdout), headers, content.read()


def told(answer, status):
    assert answer[0] == status, f"expected {status}, got {answer[0]}: {answer[2][:600]!r}"
    return json.loads(answer[2])


def capability(known):
    for base in (REGISTRY, REPOSITORY, IDENTITY):
        same(told(curl(f"{base}/metadata"), 200)["resourceType"], "CapabilityStatement", "what is described")
        same(told(curl(f"{base}/metadata?_format=json&_pretty=true"), 200)["kind"], "instance", "the kind")
        status, headers, _ = curl("-I", f"{base}/metadata")
        same((status, headers["content-type"].split(";")[0]), (200, "application/fhir+json"), "the answer to HEAD")
        status, headers, _ = curl("-X", "OPTIONS", f"{base}/metadata")
        assert "GET" in headers["allow"], "OPTIONS tells the methods"
        status, headers, body = curl("-H", "Accept: application/fhir+xml", f"{base}/metadata")
        same(status, 200, "the status of the statement in XML")
        assert body.lstrip().startswith(b"<") and headers["content-type"].startswith("application/fhir+xml")


def feed(known):
    number = f"curl-{uuid.uuid4()}"
    target = f"{IDENTITY}/Patient?identifier={DOMAIN}%7C{number}"
    status, headers, body = curl("-X", "PUT", "-H", FHIR, target, body=patient(number))
    same(status, 201, "the status")
    assert headers["location"].startswith(f"{IDENTITY}/Patient/"), headers["location"]
    known["patient"] = f"{IDENTITY}/Patient/{json.loads(body)['id']}"
    known["number"] = number


def submit(known):
    known["ids"] = []
    for n in range(3):
        submission = Submission(known["patient"], f"letter {n}")
        # With a slash at the end or without, as JSON of whatever name.
        base = (REPOSITORY, f"{REPOSITORY}/", REPOSITORY)[n]
        kind = (FHIR, "Content-Type: application/json", "Content-Type: application/fhir+json;charset=utf-8")[n]
        answer = told(curl("-H", kind, base, body=submission.bundle), 200)
        known["ids"].append(created(answer, "DocumentReference"))
    known["content"] = submission.content


def search(known):
    form = ["--data-urlencode", f"patient.identifier={DOMAIN}|{known['number']}", "--data-urlencode", "status=current"]
    answer = told(curl(*form, "-d", "_count=2", f"{REGISTRY}/DocumentReference/_search"), 200)
    same(answer["total"], 3, "the total")
    following = {link["relation"]: link["url"] for link in answer["link"]}["next"]
    rest = told(curl(following), 200)
    found = [entry["resource"]["id"] for page in (answer, rest) for entry in page["entry"]]
    same(sorted(found), sorted(known["ids"]), "what both pages hold")
    answer = told(curl("-G", *form, f"{REGISTRY}/DocumentReference"), 200)
    same(answer["total"], 3, "the total by GET")
    status, headers, body = curl("--compressed", "-G", *form, f"{REGISTRY}/DocumentReference")
    same((status, json.loads(body)["total"]), (200, 3), "the compressed answer")
    status, _, body = curl("-G", *form, "-d", "_format=xml", f"{REGISTRY}/DocumentReference")
    assert status == 200 and body.lstrip().startswith(b"<"), body[:300]


def read(known):
    url = f"{REGISTRY}/DocumentReference/{known['ids'][-1]}"
    status, headers, body = curl(url)
    same((status, headers["etag"]), (200, 'W/"1"'), "the answer")
    known["reference"] = json.loads(body)
    same(curl("-H", f"If-None-Match: {headers['etag']}", url)[0], 304, "the status of what is known already")
    same(told(curl(f"{url}/_history"), 200)["type"], "history", "the history")
    told(curl(f"{REGISTRY}/DocumentReference/{uuid.uuid4()}"), 404)


def retrieve(known):
    url = known["reference"]["content"][0]["attachment"]["url"]
    status, headers, body = curl("-L", url)
    same(hashlib.sha1(body).hexdigest(), hashlib.sha1(known["content"]).hexdigest(), "the hash")
    status, headers, body = curl("-r", "0-3", url)
    same((status, body), (206, known["content"][:4]), "the first four bytes")


def replace(known):
    old = known["ids"][0]
    bundle = Submission(known["patient"], "corrected", replaces=old).bundle
    told(curl("-H", FHIR, REPOSITORY, body=bundle), 200)
    same(told(curl(f"{REGISTRY}/DocumentReference/{old}"), 200)["status"], "superseded", "the old one's status")


def patch(known):
    url = f"{REGISTRY}/DocumentReference/{known['ids'][1]}"
    operations = [{"op": "replace", "path": "/description", "value": "Read by the family doctor"}]
    kind = "Content-Type: application/json-patch+json"
    status, headers, body = curl("-X", "PATCH", "-H", kind, "-H", 'If-Match: W/"1"', url, body=operations)
    same(status, 200, f"the status ({body[:300]!r})")
    same((headers["etag"], json.loads(body)["description"]), ('W/"2"', "Read by the family doctor"), "the answer")
    told(curl("-X", "PATCH", "-H", kind, "-H", 'If-Match: W/"1"', url, body=operations), 412)
    told(curl("-X", "PATCH", "-H", "Content-Type: application/json", url, body={"description": "x"}), 415)


def publish(known):
    """ITI-105: one document inside its reference."""
    submission = Submission(known["patient"], "published in one piece")
    reference = submission.bundle["entry"][1]["resource"]
    del reference["meta"]
    attachment = reference["content"][0]["attachment"]
    attachment["data"] = submission.bundle["entry"][2]["resource"]["data"]
    del attachment["url"]
    status, headers, body = curl("-H", FHIR, f"{REPOSITORY}/DocumentReference", body=reference)
    same(status, 201, f"the status ({body[:300]!r})")
    url = json.loads(body)["content"][0]["attachment"]["url"]
    same(curl(url)[2], submission.content, "what is retrieved")


def validate(known):
    bundle = Submission(known["patient"], "only a question").bundle
    answer = told(curl("-H", FHIR, f"{REPOSITORY}/Bundle/$validate", body=bundle), 200)
    same(answer["resourceType"], "OperationOutcome", "the answer")


def mistake(known):
    outcome = told(curl("-H", FHIR, f"{REPOSITORY}/Bundle", body={}), 404)
    assert outcome["issue"][0]["diagnostics"], "a sentence tells where to send it"
    outcome = told(curl("-H", FHIR, "-d", "{", REPOSITORY), 400)
    issue = outcome["issue"][0]
    assert issue["details"]["text"].startswith("Line 1, column"), outcome
    assert issue["diagnostics"].startswith("No document was stored. Line 1, column"), outcome
    status, headers, _ = curl("-X", "DELETE", f"{REGISTRY}/DocumentReference")
    assert status == 405 and "GET" in headers["allow"], (status, headers)
    told(curl("-d", "x=1", REPOSITORY), 415)



run(
    "curl",
    [
        ("capability", capability),
        ("feed", feed),
        ("submit", submit),
        ("search", search),
        ("read", read),
        ("retrieve", retrieve),
        ("replace", replace),
        ("patch", patch),
        ("publish", publish),
        ("validate", validate),
        ("mistake", mistake),
    ],
)
