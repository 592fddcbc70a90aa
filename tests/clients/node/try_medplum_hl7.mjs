// @medplum/hl7: a client that keeps its connection and waits for the acknowledgement of each message.

import { randomUUID } from "node:crypto";
import { Hl7Message } from "@medplum/core";
import { Hl7Client } from "@medplum/hl7";
import { created, DOMAIN, holds, REGISTRY, REPOSITORY, run, same, submission } from "./stage.mjs";

const [host, port] = process.env.MLLP.split(":");
const oid = DOMAIN.slice("urn:oid:".length);
const client = new Hl7Client({ host, port: Number(port) });

function adt(event, number, ...extra) {
  const control = randomUUID().replaceAll("-", "").slice(0, 20);
  return Hl7Message.parse([
    `MSH|^~\\&|ADT|HOSPITAL|REGISTRY|DOMAIN|20260101120000||ADT^${event}|${control}|P|2.5`,
    `EVN|${event}|20260101120000`,
    `PID|1||${number}^^^&${oid}&ISO||Müller^Ida||19750228|F`,
    ...extra,
    "PV1|1|O",
  ].join("\r"));
}

/** MSA-1, MSA-2 belonging to the message. */
async function send(message, to = client) {
  const answer = await to.sendAndWait(message);
  const control = message.getSegment("MSH").getField(10).toString();
  same(answer.getSegment("MSA").getField(2).toString(), control, "which message is acknowledged");
  return answer;
}

const code = (answer) => answer.getSegment("MSA").getField(1).toString();

async function submit(number) {
  const bundle = submission(`Patient?identifier=${DOMAIN}%7C${number}`, `a letter on ${number}`);
  const headers = { "Content-Type": "application/fhir+json" };
  const response = await fetch(REPOSITORY, { method: "POST", headers, body: JSON.stringify(bundle) });
  return [response.status, await response.json()];
}

async function find(number) {
  const asked = encodeURIComponent(`${DOMAIN}|${number}`);
  const response = await fetch(`${REGISTRY}/DocumentReference?patient.identifier=${asked}&status=current`);
  same(response.status, 200, "the status of the search");
  return ((await response.json()).entry ?? []).filter((entry) => entry.search.mode === "match").map((entry) => entry.resource.id);
}

async function feed(known) {
  known.number = `medplum-hl7-${randomUUID()}`;
  same((await submit(known.number))[0], 400, "the status of a submission for somebody nobody knows");
  for (const event of ["A01", "A04", "A05", "A08"]) same(code(await send(adt(event, known.number))), "AA", event);
}

async function submitAndFind(known) {
  const [status, answer] = await submit(known.number);
  same(status, 200, "the status");
  known.document = created(answer, "DocumentReference");
  same(await find(known.number), [known.document], "what is found");
}

async function merge(known) {
  const kept = `medplum-hl7-${randomUUID()}`;
  same(code(await send(adt("A01", kept))), "AA", "the answer to A01");
  same(code(await send(adt("A40", kept, `MRG|${known.number}^^^&${oid}&ISO`))), "AA", "the answer to A40");
  same(await find(kept), [known.document], "what the survivor has");
  same(await find(known.number), [], "what is found for who was merged away");
  same((await submit(known.number))[0], 400, "the status of a submission for who was merged away");
}

async function mistake() {
  const answer = await send(adt("A99", "7"));
  same(code(answer), "AR", "the answer to an unknown event");
  holds(answer.getSegment("ERR").getField(3).toString().startsWith("201"), answer.toString());
}

async function identitySource() {
  const [host, port] = process.env.MLLP_IDENTITY.split(":");
  const to = new Hl7Client({ host, port: Number(port) });
  const ask = (event, ...segments) => {
    const control = randomUUID().replaceAll("-", "").slice(0, 20);
    const head = `MSH|^~\\&|ASKER|HOSPITAL|MPI|DOMAIN|20260101120000||QBP^${event}^QBP_Q21|${control}|P|2.5`;
    return send(Hl7Message.parse([head, ...segments].join("\r")), to);
  };
  const status = (answer) => answer.getSegment("QAK").getField(2).toString();
  const number = `medplum-hl7-${randomUUID()}`;
  same(code(await send(adt("A01", number), to)), "AA", "the answer to A01");
  const alone = await ask("Q23", `QPD|IHE PIX Query|T1|${number}^^^&${oid}&ISO`, "RCP|I");
  same([code(alone), status(alone)], ["AA", "NF"], "the answer to a PIX query about somebody with one name");
  const nobody = await ask("Q23", `QPD|IHE PIX Query|T1|nobody^^^&${oid}&ISO`, "RCP|I");
  same([code(nobody), status(nobody)], ["AE", "AE"], "the answer about nobody");
  const found = await ask("Q22", `QPD|IHE PDQ Query|T2|@PID.3.1^${number}~@PID.3.4.2^${oid}`, "RCP|I");
  same([code(found), status(found)], ["AA", "OK"], "the answer to a demographics query");
  same(found.getSegment("PID").getField(7).toString(), "19750228", "the date of birth");
  await to.close();
}

await run("medplum_hl7", [
  ["feed", feed],
  ["submit_and_find", submitAndFind],
  ["merge", merge],
  ["mistake", mistake],
  ["identity_source", identitySource],
]);
