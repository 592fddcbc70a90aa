"""smart-fetch, the SMART project's bulk client: kicks off, polls, downloads and logs as a warehouse would."""

import gzip
import json
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import requests
from stage import DOMAIN, IDENTITY, REGISTRY, REPOSITORY, Submission, created, patient, run


def prepare(known):
    number = f"bulk-{uuid.uuid4()}"
    fed = requests.put(f"{IDENTITY}/Patient", params={"identifier": f"{DOMAIN}|{number}"}, json=patient(number), timeout=10)
    fed.raise_for_status()
    known["patient"] = f"{IDENTITY}/Patient/{fed.json()['id']}"
    known["ids"] = []
    for n in range(3):
        bundle = Submission(known["patient"], f"letter {n}").bundle
        answer = requests.post(REPOSITORY, json=bundle, timeout=10)
        answer.raise_for_status()
        known["ids"].append(created(answer.json(), "DocumentReference"))


def exported(folder, kind):
    resources = []
    for path in Path(folder).rglob(f"*{kind}*.ndjson*"):
        opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open()
        with opened as lines:
            resources += [json.loads(line) for line in lines]
    return resources


def fetch(known, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).parent / "smart-fetch"), "bulk", folder, "--fhir-url", REGISTRY, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        told = (done.stdout + done.stderr)[-800:]
        assert done.returncode == 0, f"the client ended with {done.returncode}: {told}"
        return exported(folder, "DocumentReference")


def bulk(known):
    # Documents of other clients of this region may be there too.
    ids = {resource["id"] for resource in fetch(known, "--type", "DocumentReference")}
    assert set(known["ids"]) <= ids, f"all documents are exported: {len(ids)}"


def compressed(known):
    ids = {resource["id"] for resource in fetch(known, "--type", "DocumentReference", "--no-compression")}
    assert set(known["ids"]) <= ids, f"all documents are exported: {len(ids)}"


def filtered(known):
    given = ["--type", "DocumentReference", "--type-filter", "DocumentReference?status=superseded"]
    statuses = {resource["status"] for resource in fetch(known, *given)}
    assert statuses <= {"superseded"}, f"only what the filter lets through: {statuses}"


run(
    "smart-fetch",
    [("feed and submit", prepare), ("export", bulk), ("export uncompressed", compressed), ("export filtered", filtered)],
)
