// @medplum/core: caches, adds parameters and headers of its own, and reads outcomes into errors.

import { randomUUID } from "node:crypto";
import { MedplumClient } from "@medplum/core";
import {
  created, DOMAIN, holds, IDENTITY, patient, refused, REGISTRY, REPOSITORY, run, same, sha1, sound, submission,
} from "./stage.mjs";

const client = (base) => new MedplumClient({ baseUrl: base.slice(0, -"fhir".length), fhirUrlPath: "fhir", fetch });
const registry = client(REGISTRY);
const repository = client(REPOSITORY);
const identity = client(IDENTITY);

async function capability() {
  for (const each of [registry, repository, identity]) {
    const statement = await each.get(each.fhirUrl("metadata"));
    same(statement.fhirVersion, "4.0.1", "fhirVersion");
  }
}

async function feed(known) {
  known.number = `medplum-${randomUUID()}`;
  const query = { identifier: `${DOMAIN}|${known.number}` };
  const fed = await identity.upsertResource(patient(known.number), query);
  holds(fed.id && fed.meta.versionId, "the patient comes back with its id");
  known.patient = `${IDENTITY}/Patient/${fed.id}`;
  const again = await identity.upsertResource({ ...fed, birthDate: "1958-01-31" }, query);
  same(again.birthDate, "1958-01-31", "the birth date");
  same((await identity.searchOne("Patient", query)).id, fed.id, "who is found by the number");
}

async function submit(known) {
  known.ids = [];
  for (let n = 0; n < 5; n += 1) {
    const answer = await repository.executeBatch(submission(known.patient, `letter ${n}`));
    same(answer.type, "transaction-response", "the answer");
    known.ids.push(created(answer, "DocumentReference"));
  }
}

async function search(known) {
  const ids = [];
  const query = { patient: known.patient, status: "current", _count: "2" };
  for await (const page of registry.searchResourcePages("DocumentReference", query)) {
    ids.push(...page.map((resource) => resource.id));
  }
  same(ids.sort(), [...known.ids].sort(), "what all pages hold");
  const sorted = await registry.searchResources("DocumentReference", { ...query, _sort: "-date", _total: "accurate" });
  same(sorted.bundle.total, 5, "the total");
  const lists = await registry.search("List", `patient=${known.patient}&code=submissionset&status=current`);
  same(lists.entry.length, 5, "the submission sets");
  const fields = await registry.searchResources("DocumentReference", { ...query, _fields: "id,status" });
  same(fields.length, 2, "what is found with a parameter only its own server knows");
}

async function read(known) {
  const id = known.ids.at(-1);
  known.reference = await registry.readResource("DocumentReference", id, { cache: "reload" });
  same(known.reference.status, "current", "the status");
  const history = await registry.readHistory("DocumentReference", id);
  same(history.entry.length, 1, "the versions");
  same((await registry.readVersion("DocumentReference", id, "1")).id, id, "the id of the first version");
  const error = await refused(registry.readResource("DocumentReference", randomUUID()), "a document nobody has");
  same(error.outcome.resourceType, "OperationOutcome", "what tells of it");
}

async function retrieve(known) {
  const blob = await registry.download(known.reference.content[0].attachment.url);
  same(sha1(await blob.arrayBuffer()), sha1(Buffer.from("letter 4")), "the hash");
}

async function replace(known) {
  const old = known.ids[0];
  await repository.executeBatch(submission(known.patient, "corrected", old));
  const read = await registry.readResource("DocumentReference", old, { cache: "reload" });
  same(read.status, "superseded", "the old one's status");
}

async function patch(known) {
  const operations = [{ op: "replace", path: "/description", value: "Read by the family doctor" }];
  const patched = await registry.patchResource("DocumentReference", known.ids[1], operations);
  same(patched.description, "Read by the family doctor", "the description");
  same(patched.meta.versionId, "2", "the version");
}

async function update(known) {
  const read = await registry.readResource("DocumentReference", known.ids[2], { cache: "reload" });
  const changed = { ...read, description: "Read by the family doctor" };
  const headers = { "If-Match": `W/"${read.meta.versionId}"` };
  const updated = await registry.updateResource(changed, { headers });
  same(updated.meta.versionId, "2", "the version");
  const error = await refused(registry.updateResource({ ...updated, description: "x" }), "an update without If-Match");
  holds(error.message.includes("If-Match"), `it is told what is missing: ${error.message}`);
}

async function validate(known) {
  sound(await repository.validateResource(submission(known.patient, "only a question")));
}

async function mistake(known) {
  const bundle = submission(known.patient, "with a wrong code");
  bundle.entry[1].resource.status = "curent";
  const error = await refused(repository.executeBatch(bundle), "a wrong code");
  holds(error.message.includes("status") || error.message.includes("curent"), error.message);
}

await run("medplum", [
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
