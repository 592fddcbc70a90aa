"""What every client of Python is tried with: messages with fresh ids, and flows that are run one after the other and told."""

import base64
import hashlib
import json
import os
import sys
import uuid
from pathlib import Path

REGISTRY = os.environ["REGISTRY"]
REPOSITORY = os.environ["REPOSITORY"]
IDENTITY = os.environ["IDENTITY"]
DOMAIN = "urn:oid:2.25.271828182845904523536028747135266249775"

_MESSAGES = Path(__file__).parent.parent / "message"


class Skip(Exception):
    """A flow that cannot be tried here; the reason is printed."""


def _filled(name, values):
    text = (_MESSAGES / name).read_text()
    for word, value in values.items():
        text = text.replace("{{" + word + "}}", value)
    return json.loads(text)


def patient(number):
    return _filled("patient.json", {"domain": DOMAIN, "number": number})


def fresh_oid():
    return f"urn:oid:2.25.{uuid.uuid4().int}"


class Submission:
    """A bundle of ITI-65 with one document; with the id of another one it replaces that."""

    def __init__(self, subject, content, replaces=None):
        self.content = content.encode()
        self.unique_id = fresh_oid()
        document_url = f"urn:uuid:{uuid.uuid4()}"
        self.bundle = _filled(
            "bundle.json",
            {
                "patient": subject,
                "set url": f"urn:uuid:{uuid.uuid4()}",
                "set id": fresh_oid(),
                "document url": document_url,
                "document id": self.unique_id,
                "binary url": f"urn:uuid:{uuid.uuid4()}",
                "data": base64.b64encode(self.content).decode(),
            },
        )
        reference = self.bundle["entry"][1]["resource"]
        attachment = reference["content"][0]["attachment"]
        attachment["size"] = len(self.content)
        attachment["hash"] = base64.b64encode(hashlib.sha1(self.content).digest()).decode()
        if replaces:
            reference["relatesTo"] = [
                {"code": "replaces", "target": {"reference": f"DocumentReference/{replaces}"}}
            ]
            self.bundle["entry"].append(superseding(replaces))


def superseding(id):
    """The entry that sets a replaced document to superseded."""
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "DocumentReference.status"},
        {"name": "value", "valueCode": "superseded"},
    ]
    profile = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Patch.Parameters"
    return {
        "fullUrl": f"{REGISTRY}/DocumentReference/{id}",
        "resource": {
            "resourceType": "Parameters",
            "meta": {"profile": [profile]},
            "parameter": [{"name": "operation", "part": parts}],
        },
        "request": {"method": "PATCH", "url": f"DocumentReference/{id}"},
    }


def created(answer, kind):
    """The id of what a transaction made of a type."""
    for entry in answer["entry"]:
        parts = entry["response"]["location"].split("/")
        if kind in parts:
            return parts[parts.index(kind) + 1]
    raise AssertionError(f"the answer names no {kind}: {json.dumps(answer)[:500]}")


def same(got, expected, what):
    assert got == expected, f"{what} is {got!r}, expected {expected!r}"


def run(client, flows):
    """Runs (name, function) in order; each function gets what the ones before it left behind. One line each."""
    known = {}
    failed = False
    for name, flow in flows:
        try:
            flow(known)
            print(f"passed   {client} {name}", flush=True)
        except Skip as why:
            print(f"skipped  {client} {name}: {why}", flush=True)
        except Exception as error:  # a flow may fail in every way its client knows
            failed = True
            body = getattr(getattr(error, "response", None), "text", "")
            told = f"{type(error).__name__}: {error} {body}".replace("\n", " ")
            print(f"FAILED   {client} {name}: {told[:1500]}", flush=True)
    sys.exit(1 if failed else 0)
