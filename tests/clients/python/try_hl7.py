"""python-hl7: its MLLP client, its parser of acknowledgements, ADT as an admission desk sends it."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
import uuid

import hl7
from hl7.client import MLLPClient

from stage import DOMAIN, REGISTRY, REPOSITORY, Submission, created, run, same

HOST, PORT = os.environ["MLLP"].split(":")
OID = DOMAIN.removeprefix("urn:oid:")


def adt(event, number, extra="", version="2.5"):
    segments = [
        f"MSH|^~\\&|ADT|HOSPITAL|REGISTRY|DOMAIN|20260101120000||ADT^{event}|{uuid.uuid4().hex[:20]}|P|{version}",
        f"EVN|{event}|20260101120000",
        f"PID|1||{number}^^^&{OID}&ISO~LOCAL-7^^^WARD||Müller^Ida||19750228|F",
        *([extra] if extra else []),
        "PV1|1|O",
    ]
    return hl7.parse("\r".join(segments) + "\r")


def send(message, address=os.environ["MLLP"]):
    """The acknowledgement, which belongs to the message."""
    host, port = address.split(":")
    with MLLPClient(host, int(port)) as client:
        answer = hl7.parse(client.send_message(message).strip(b"\x0b\x1c\r").decode())
    same(str(answer.segment("MSA")[2]), str(message.segment("MSH")[10]), "which message is acknowledged")
    return str(answer.segment("MSA")[1]), answer


def ask(url, body=None):
    """Status and answer."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/fhir+json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def find(number):
    asked = urllib.parse.quote(f"{DOMAIN}|{number}", safe="")
    status, found = ask(f"{REGISTRY}/DocumentReference?patient.identifier={asked}&status=current")
    same(status, 200, "the status of the search")
    return [entry["resource"] for entry in found.get("entry", []) if entry["search"]["mode"] == "match"]


def submit(number):
    bundle = Submission(f"Patient?identifier={DOMAIN}%7C{number}", f"a letter on {number}").bundle
    return ask(REPOSITORY, bundle)


def feed(known):
    known["number"] = f"hl7-{uuid.uuid4()}"
    same(submit(known["number"])[0], 400, "the status of a submission for somebody nobody knows")
    for version in ("2.3", "2.3.1", "2.5"):
        same(send(adt("A01", known["number"], version=version))[0], "AA", f"the answer in {version}")
    same(send(adt("A08", known["number"]))[0], "AA", "the answer to A08")


def several(known):
    with MLLPClient(HOST, int(PORT)) as client:
        for event in ("A04", "A05", "A08"):
            answer = hl7.parse(client.send_message(adt(event, known["number"])).strip(b"\x0b\x1c\r").decode())
            same(str(answer.segment("MSA")[1]), "AA", f"the answer to {event} on one connection")


def submit_and_find(known):
    status, answer = submit(known["number"])
    same(status, 200, "the status of the submission")
    known["document"] = created(answer, "DocumentReference")
    same([found["id"] for found in find(known["number"])], [known["document"]], "what is found")


def merge(known):
    kept = f"hl7-{uuid.uuid4()}"
    same(send(adt("A01", kept))[0], "AA", "the answer to A01")
    gone = f"MRG|{known['number']}^^^&{OID}&ISO"
    same(send(adt("A40", kept, gone))[0], "AA", "the answer to A40")
    same(send(adt("A40", kept, gone))[0], "AA", "the answer to A40 sent again")
    found = find(kept)
    same([one["id"] for one in found], [known["document"]], "what the survivor has")
    same(found[0]["subject"]["identifier"]["value"], kept, "whose it is")
    same(find(known["number"]), [], "what is found for who was merged away")
    same(submit(known["number"])[0], 400, "the status of a submission for who was merged away")


def mistake(known):
    code, answer = send(adt("A40", "nobody", f"MRG|nobody-either^^^&{OID}&ISO"))
    same(code, "AE", "the answer to a merge of nobody")
    same(str(answer.segment("ERR")[3]).split("^")[0], "204", "the condition")
    code, answer = send(adt("A99", "7"))
    same((code, str(answer.segment("ERR")[3]).split("^")[0]), ("AR", "201"), "the answer to an unknown event")


def ask_identity(event, *segments):
    """The answer of the identity source to a question."""
    head = f"MSH|^~\\&|ASKER|HOSPITAL|MPI|DOMAIN|20260101120000||QBP^{event}^QBP_Q21|{uuid.uuid4().hex[:20]}|P|2.5"
    return send(hl7.parse("\r".join([head, *segments]) + "\r"), os.environ["MLLP_IDENTITY"])


def identity_source(known):
    number = f"hl7-{uuid.uuid4()}"
    for event in ("A01", "A08", "A31"):
        same(send(adt(event, number), os.environ["MLLP_IDENTITY"])[0], "AA", f"the answer to {event}")
    code, answer = ask_identity("Q23", f"QPD|IHE PIX Query|T1|{number}^^^&{OID}&ISO", "RCP|I")
    same((code, str(answer.segment("QAK")[2])), ("AA", "OK"), "the answer to a PIX query")
    same(str(answer.segment("PID")[3]), "LOCAL-7^^^WARD&2.25.9&ISO", "the other identifier")
    code, answer = ask_identity("Q23", f"QPD|IHE PIX Query|T1|nobody^^^&{OID}&ISO", "RCP|I")
    same((code, str(answer.segment("ERR")[2])), ("AE", "QPD^1^3^1^1"), "the answer about nobody")
    code, answer = ask_identity(
        "Q22", f"QPD|IHE PDQ Query|T2|@PID.3.1^{number}~@PID.3.4.2^{OID}~@PID.5.1^m*", "RCP|I|5^RD"
    )
    same((code, str(answer.segment("QAK")[2])), ("AA", "OK"), "the answer to a demographics query")
    same(str(answer.segment("PID")[7]), "19750228", "the date of birth")
    code, answer = ask_identity("Q22", f"QPD|IHE PDQ Query|T3|@PID.5.1^Nobody{uuid.uuid4().hex}", "RCP|I")
    same((code, str(answer.segment("QAK")[2])), ("AA", "NF"), "the answer where nobody fits")


run(
    "hl7",
    [
        ("feed", feed),
        ("several", several),
        ("submit_and_find", submit_and_find),
        ("merge", merge),
        ("mistake", mistake),
        ("identity_source", identity_source),
    ],
)
