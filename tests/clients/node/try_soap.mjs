// node-soap, from a WSDL: documents provided as MTOM [ITI-41], found [ITI-18] and retrieved as MTOM [ITI-43].

import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import soap from "soap";

import { DOMAIN, IDENTITY, REGISTRY, REPOSITORY, holds, patient, run, same } from "./stage.mjs";

const SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success";
const wsdl = fileURLToPath(new URL("../message/xds.wsdl", import.meta.url));
const oid = () => `2.25.${BigInt(`0x${randomUUID().replaceAll("-", "")}`)}`;
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** A client of one of the two services, whose next message carries WS-Addressing for this action. */
async function client(service, url) {
  const made = await soap.createClientAsync(wsdl, { forceSoap12Headers: true, parseReponseAttachments: true }, url);
  const port = made[`${service}_Service`][`${service}_Port`];
  return async (operation, action, xml, options = {}) => {
    made.clearSoapHeaders();
    const wsa = 'xmlns:wsa="http://www.w3.org/2005/08/addressing"';
    made.addSoapHeader(
      `<wsa:Action ${wsa} soap:mustUnderstand="1">${action}</wsa:Action><wsa:MessageID ${wsa}>urn:uuid:${randomUUID()}</wsa:MessageID>` +
        `<wsa:To ${wsa}>${url}</wsa:To>`,
    );
    const answer = await new Promise((resolve, reject) => {
      port[operation]({ _xml: xml }, (error, result) => (error ? reject(error) : resolve(result)), options);
    });
    return { answer, attachments: made.lastResponseAttachments, raw: made.lastResponse };
  };
}

const registry = await client("DocumentRegistry", REGISTRY.replace("/fhir", "/xds/registry"));
const repository = await client("DocumentRepository", REPOSITORY.replace("/fhir", "/xds/repository"));
const statusOf = (result) => (result.attributes ?? result.$attributes ?? {}).status;

function submission(cx, documentId, content) {
  let text = readFileSync(new URL("../message/submission.xml", import.meta.url), "utf8");
  const values = {
    patient: escaped(cx),
    hash: createHash("sha1").update(content).digest("hex"),
    size: String(content.length),
    repository: "1.2.3",
    "document id": documentId,
    "set id": oid(),
  };
  for (const [word, value] of Object.entries(values)) text = text.replaceAll(`{{${word}}}`, value);
  return text;
}

async function provide(known, documentId, content, cx = known.cx) {
  const cid = `${randomUUID()}@clients`;
  const xml =
    '<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="urn:ihe:iti:xds-b:2007">' +
    submission(cx, documentId, content) +
    '<xds:Document id="Document01"><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" ' +
    `href="cid:${encodeURIComponent(cid)}"/></xds:Document></xds:ProvideAndRegisterDocumentSetRequest>`;
  return repository("ProvideAndRegisterDocumentSet", "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", xml, {
    forceMTOM: true,
    attachments: [{ mimetype: "text/plain", contentId: cid, name: "letter.txt", body: content }],
  });
}

await run("soap", [
  [
    "feeds",
    async (known) => {
      const number = randomUUID();
      const token = encodeURIComponent(`${DOMAIN}|${number}`);
      const answer = await fetch(`${IDENTITY}/Patient?identifier=${token}`, {
        method: "PUT",
        headers: { "Content-Type": "application/fhir+json" },
        body: JSON.stringify(patient(number)),
      });
      holds(answer.ok, `feeding answers ${answer.status}`);
      known.cx = `${number}^^^&${DOMAIN.replace("urn:oid:", "")}&ISO`;
    },
  ],
  [
    "provides as MTOM",
    async (known) => {
      known.content = Buffer.concat([Buffer.from("bytes of a letter \r\n--MIME\r\n"), Buffer.from([0, 255, 13, 10])]);
      known.id = oid();
      const { answer } = await provide(known, known.id, known.content);
      same(statusOf(answer), SUCCESS, "the status");
    },
  ],
  [
    "finds",
    async (known) => {
      const slot = (name, value) =>
        `<rim:Slot name="${name}"><rim:ValueList><rim:Value>${escaped(value)}</rim:Value></rim:ValueList></rim:Slot>`;
      const xml =
        '<query:AdhocQueryRequest xmlns:query="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">' +
        '<query:ResponseOption returnComposedObjects="true" returnType="LeafClass"/><rim:AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d">' +
        slot("$XDSDocumentEntryPatientId", `'${known.cx}'`) +
        slot("$XDSDocumentEntryStatus", "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')") +
        "</rim:AdhocQuery></query:AdhocQueryRequest>";
      const { answer, raw } = await registry("RegistryStoredQuery", "urn:ihe:iti:2007:RegistryStoredQuery", xml);
      same(statusOf(answer), SUCCESS, "the status");
      holds(raw.includes(`value="${known.id}"`), "the document is found");
      known.repository = /name="repositoryUniqueId"[^]*?Value>([0-9.]+)</.exec(raw)?.[1];
      holds(known.repository, "the entry says which repository has it");
    },
  ],
  [
    "retrieves as MTOM",
    async (known) => {
      const xml =
        '<xds:RetrieveDocumentSetRequest xmlns:xds="urn:ihe:iti:xds-b:2007"><xds:DocumentRequest>' +
        `<xds:RepositoryUniqueId>${known.repository}</xds:RepositoryUniqueId><xds:DocumentUniqueId>${known.id}</xds:DocumentUniqueId>` +
        "</xds:DocumentRequest></xds:RetrieveDocumentSetRequest>";
      const { attachments } = await repository("RetrieveDocumentSet", "urn:ihe:iti:2007:RetrieveDocumentSet", xml, {
        forceMTOM: true,
      });
      same(attachments.parts.length, 1, "how many documents come");
      holds(Buffer.from(attachments.parts[0].body).equals(known.content), "the bytes are those that were sent");
    },
  ],
  [
    "is told what is wrong",
    async (known) => {
      const { answer, raw } = await provide(known, oid(), Buffer.from("x"), "nobody^^^&1.2.3&ISO");
      holds(String(statusOf(answer)).endsWith(":Failure"), `the status is ${statusOf(answer)}`);
      holds(raw.includes('errorCode="XDSUnknownPatientId"'), "the code says so");
    },
  ],
]);
