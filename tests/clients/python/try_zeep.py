"""zeep, from a WSDL: documents registered [ITI-42], found [ITI-18] and retrieved [ITI-43]; what is refused comes as an error list."""

import hashlib
import json
import urllib.request
import uuid
from pathlib import Path
from urllib.parse import quote

from lxml import etree
from stage import DOMAIN, IDENTITY, REGISTRY, REPOSITORY, Submission, fresh_oid, patient, run, same
from zeep import Client, Settings
from zeep.wsa import WsAddressingPlugin

MESSAGES = Path(__file__).parent.parent / "message"
RIM = "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}"
XDS = "{urn:ihe:iti:xds-b:2007}"
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
UNIQUE_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"

client = Client(
    str(MESSAGES / "xds.wsdl"), plugins=[WsAddressingPlugin()], settings=Settings(strict=True, xml_huge_tree=True)
)
registry = client.create_service(f"{XDS}DocumentRegistry_Binding", REGISTRY.replace("/fhir", "/xds/registry"))
repository = client.create_service(f"{XDS}DocumentRepository_Binding", REPOSITORY.replace("/fhir", "/xds/repository"))


def put(url, resource):
    request = urllib.request.Request(
        url, json.dumps(resource).encode(), {"Content-Type": "application/fhir+json"}, method="PUT"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.headers


def post(url, resource):
    request = urllib.request.Request(url, json.dumps(resource).encode(), {"Content-Type": "application/fhir+json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def query(id, values, what="LeafClass"):
    slots = [{"name": name, "ValueList": {"Value": [value]}} for name, value in values]
    answer = registry.RegistryStoredQuery(
        ResponseOption={"returnType": what, "returnComposedObjects": True},
        AdhocQuery={"id": id, "Slot": slots},
    )
    objects = list(answer.RegistryObjectList._value_1 or []) if answer.RegistryObjectList else []
    return answer, objects


def documents(cx, status=APPROVED):
    values = [("$XDSDocumentEntryPatientId", f"'{cx}'"), ("$XDSDocumentEntryStatus", f"('{status}')")]
    answer, objects = query(FIND_DOCUMENTS, values)
    same(answer.status, SUCCESS, "the status of the query")
    return objects


def slot(entry, name):
    for found in entry.findall(f"{RIM}Slot"):
        if found.get("name") == name:
            return [value.text for value in found.iter(f"{RIM}Value")]
    return []


def unique_id(entry):
    for found in entry.findall(f"{RIM}ExternalIdentifier"):
        if found.get("identificationScheme") == UNIQUE_ID:
            return found.get("value")
    raise AssertionError("an entry has a unique id")


def submission(cx, document_id, content):
    text = (MESSAGES / "submission.xml").read_text()
    values = {
        "patient": cx.replace("&", "&amp;"),
        "hash": hashlib.sha1(content).hexdigest(),
        "size": str(len(content)),
        "repository": "1.2.3.4.5.6",
        "document id": document_id,
        "set id": fresh_oid().removeprefix("urn:oid:"),
    }
    for word, value in values.items():
        text = text.replace("{{" + word + "}}", value)
    objects = etree.fromstring(text).find(f"{RIM}RegistryObjectList")
    return {"RegistryObjectList": {"_value_1": list(objects)}}


def fed(known):
    number = str(uuid.uuid4())
    token = quote(f"{DOMAIN}|{number}", safe="")
    headers = put(f"{IDENTITY}/Patient?identifier={token}", patient(number))
    known["reference"] = headers["Location"].split("/_history/")[0]
    known["cx"] = f"{number}^^^&{DOMAIN.removeprefix('urn:oid:')}&ISO"


def registered(known):
    known["registered"] = fresh_oid().removeprefix("urn:oid:")
    answer = registry.RegisterDocumentSet(**submission(known["cx"], known["registered"], b"elsewhere"))
    same(answer.status, SUCCESS, "the status of the registration")
    found = documents(known["cx"])
    same([unique_id(entry) for entry in found], [known["registered"]], "what is found of it")


def found_what_fhir_submitted(known):
    known["sent"] = Submission(known["reference"], "by FHIR, read by zeep")
    post(REPOSITORY, known["sent"].bundle)
    wanted = known["sent"].unique_id.removeprefix("urn:oid:")
    entries = {unique_id(entry): entry for entry in documents(known["cx"])}
    entry = entries[wanted]
    same(slot(entry, "size"), [str(len(known["sent"].content))], "the size")
    same(slot(entry, "hash"), [hashlib.sha1(known["sent"].content).hexdigest()], "the hash")
    known["repository"] = slot(entry, "repositoryUniqueId")[0]
    same(documents(known["cx"], DEPRECATED), [], "what is deprecated")


def references(known):
    answer, objects = query(GET_DOCUMENTS, [("$XDSDocumentEntryUniqueId", f"('{known['registered']}')")], "ObjectRef")
    same([etree.QName(found).localname for found in objects], ["ObjectRef"], "what comes back")


def retrieved(known):
    wanted = known["sent"].unique_id.removeprefix("urn:oid:")
    request = [{"RepositoryUniqueId": known["repository"], "DocumentUniqueId": wanted}]
    answer = repository.RetrieveDocumentSet(DocumentRequest=request)
    same(answer.RegistryResponse.status, SUCCESS, "the status of the retrieval")
    same(answer.DocumentResponse[0].Document, known["sent"].content, "the bytes")
    same(answer.DocumentResponse[0].mimeType, "text/plain", "the media type")


def partly_retrieved(known):
    wanted = known["sent"].unique_id.removeprefix("urn:oid:")
    request = [{"RepositoryUniqueId": known["repository"], "DocumentUniqueId": id} for id in (wanted, "9.9.9")]
    answer = repository.RetrieveDocumentSet(DocumentRequest=request)
    same(answer.RegistryResponse.status, "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess", "the status")
    errors = answer.RegistryResponse.RegistryErrorList.RegistryError
    same([(error.errorCode, error.location) for error in errors], [("XDSDocumentUniqueIdError", "9.9.9")], "the errors")
    same(len(answer.DocumentResponse), 1, "how many came")


def refused(known):
    answer = registry.RegisterDocumentSet(**submission("nobody^^^&1.2.3&ISO", "1.2.3.4.5.6.7", b"x"))
    same(answer.status, FAILURE, "the status")
    same(answer.RegistryErrorList.RegistryError[0].errorCode, "XDSUnknownPatientId", "the code")
    answer, objects = query(FIND_DOCUMENTS, [("$XDSDocumentEntryStatus", f"('{APPROVED}')")])
    same((answer.status, objects), (FAILURE, []), "a query without its patient")
    same(answer.RegistryErrorList.RegistryError[0].errorCode, "XDSStoredQueryMissingParam", "the code")


run(
    "zeep",
    [
        ("feeds", fed),
        ("registers", registered),
        ("finds what FHIR submitted", found_what_fhir_submitted),
        ("asks for references", references),
        ("retrieves", retrieved),
        ("retrieves partly", partly_retrieved),
        ("is refused", refused),
    ],
)
