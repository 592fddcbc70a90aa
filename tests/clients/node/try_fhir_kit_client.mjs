// fhir-kit-client: one method for each interaction, raw bodies, pages by its own helper.

import { randomUUID } from "node:crypto";
import { Client } from "fhir-kit-client";
import {
  created, DOMAIN, holds, IDENTITY, patient, refused, REGISTRY, REPOSITORY, run, same, sha1, sound, submission,
} from "./stage.mjs";

const registry = new Client({ baseUrl: REGISTRY });
const repository = new Client({ baseUrl: REPOSITORY });
const identity = new Client({ baseUrl: IDENTITY });

async function capability() {
  for (const client of [registry, repository, identity]) {
    const statement = await client.capabilityStatement();
    same(statement.fhirVersion, "4.0.1", "fhirVersion");
  }
}

async function feed(known) {
  known.number = `kit-${randomUUID()}`;
  const fed = await identity.update({
    resourceType: "Patient",
    searchParams: { identifier: `${DOMAIN}|${known.number}` },
    body: patient(known.number),
  });
  same(Client.httpFor(fed).response.status, 201, "the status");
  known.patient = `${IDENTITY}/Patient/${fed.id}`;
  const resolved = await registry.resolve({ reference: known.patient });
  same(resolved.name[0].family, "Quidproquo", "the name behind the reference");
}

async function submit(known) {
  known.ids = [];
  for (let n = 0; n < 5; n += 1) {
    const answer = await repository.transaction({ body: submission(known.patient, `letter ${n}`) });
    same(answer.type, "transaction-response", "the answer");
    known.ids.push(created(answer, "DocumentReference"));
  }
}

async function search(known) {
  const searchParams = { patient: known.patient, status: "current", _count: 2 };
  for (const options of [{}, { postSearch: true }]) {
    const ids = [];
    let page = await registry.search({ resourceType: "DocumentReference", searchParams, options });
    same(page.total, 5, "the total");
    while (page) {
      ids.push(...page.entry.map((entry) => entry.resource.id));
      page = await registry.nextPage({ bundle: page });
    }
    same(ids.sort(), [...known.ids].sort(), "what all pages hold");
  }
  const second = await registry.nextPage({
    bundle: await registry.search({ resourceType: "DocumentReference", searchParams }),
  });
  const first = await registry.prevPage({ bundle: second });
  same(first.entry.length, 2, "the length of the previous page");
  const lists = await registry.resourceSearch({
    resourceType: "List",
    searchParams: { "patient.identifier": `${DOMAIN}|${known.number}`, code: "submissionset", status: "current" },
  });
  same(lists.total, 5, "the submission sets");
}

async function read(known) {
  const id = known.ids.at(-1);
  known.reference = await registry.read({ resourceType: "DocumentReference", id });
  same(known.reference.status, "current", "the status");
  const first = await registry.vread({ resourceType: "DocumentReference", id, version: "1" });
  same(first.meta.versionId, "1", "the version");
  const history = await registry.history({ resourceType: "DocumentReference", id });
  same(history.type, "history", "the history");
  const error = await refused(
    registry.read({ resourceType: "DocumentReference", id: randomUUID() }), "a document nobody has");
  same(error.response.status, 404, "the status of a document nobody has");
  same(error.response.data.resourceType, "OperationOutcome", "what tells of it");
}

async function retrieve(known) {
  const { url, contentType } = known.reference.content[0].attachment;
  const answer = await fetch(url, { headers: { Accept: contentType } });
  same(sha1(await answer.arrayBuffer()), sha1(Buffer.from("letter 4")), "the hash");
}

async function replace(known) {
  const old = known.ids[0];
  await repository.transaction({ body: submission(known.patient, "corrected", old) });
  same((await registry.read({ resourceType: "DocumentReference", id: old })).status, "superseded", "the status");
}

async function patch(known) {
  const jsonPatch = [{ op: "replace", path: "/description", value: "Read by the family doctor" }];
  const patched = await registry.patch({ resourceType: "DocumentReference", id: known.ids[1], jsonPatch });
  same(patched.description, "Read by the family doctor", "the description");
  same(patched.meta.versionId, "2", "the version");
}

async function update(known) {
  const body = await registry.read({ resourceType: "DocumentReference", id: known.ids[2] });
  body.description = "Read by the family doctor";
  const options = { headers: { "If-Match": Client.httpFor(body).response.headers.get("etag") } };
  const updated = await registry.update({ resourceType: "DocumentReference", id: body.id, body, options });
  same(updated.meta.versionId, "2", "the version");
  const again = await refused(
    registry.update({ resourceType: "DocumentReference", id: body.id, body, options }), "an old version");
  same(again.response.status, 412, "the status of an update of an old version");
}

async function validate(known) {
  const input = submission(known.patient, "only a question");
  sound(await repository.operation({ name: "validate", resourceType: "Bundle", input }));
}

async function mistake(known) {
  const body = submission(known.patient, "with a typing error");
  body.entry[1].resource.staus = "current";
  const error = await refused(repository.transaction({ body }), "an unknown element");
  holds(JSON.stringify(error.response.data).includes("staus"), "the element is named");
}

await run("fhir-kit-client", [
  ["capability", capability],
  ["feed", feed],
  ["submit", submit],
  ["search", search],
  ["read", read],
  ["retrieve", retrieve],
  ["replace", replace],
  ["patch", patch],
  ["update", update],
  ["validate", validate],
  ["mistake", mistake],
]);
