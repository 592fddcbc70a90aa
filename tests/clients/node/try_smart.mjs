// SMART client-js (the package `fhirclient`) in a server of Node: its own requests, pages, references and updates.

import { randomUUID } from "node:crypto";
import smart from "fhirclient";
import {
  created, DOMAIN, holds, IDENTITY, patient, refused, REGISTRY, REPOSITORY, run, same, sha1, sound, submission,
} from "./stage.mjs";

// An application without a launch: it knows the server, and asks for nobody's permission.
const request = { headers: { host: "app.example" }, url: "/", connection: {} };
const storage = () => ({ get: async () => undefined, set: async (_, value) => value, unset: async () => true });
const client = (serverUrl) => smart(request, {}, storage()).client({ serverUrl });
const registry = client(REGISTRY);
const repository = client(REPOSITORY);
const identity = client(IDENTITY);
const fhir = { "content-type": "application/fhir+json" };

async function capability() {
  for (const each of [registry, repository, identity]) {
    same(await each.getFhirVersion(), "4.0.1", "fhirVersion");
    same(await each.getFhirRelease(), 4, "the release");
  }
}

async function feed(known) {
  known.number = `smart-js-${randomUUID()}`;
  const { body, response } = await identity.request({
    url: `Patient?identifier=${encodeURIComponent(`${DOMAIN}|${known.number}`)}`,
    method: "PUT",
    headers: fhir,
    body: JSON.stringify(patient(known.number)),
    includeResponse: true,
  });
  same(response.status, 201, "the status");
  known.patient = `${IDENTITY}/Patient/${body.id}`;
}

async function submit(known) {
  known.ids = [];
  for (let n = 0; n < 5; n += 1) {
    const body = JSON.stringify(submission(known.patient, `letter ${n}`));
    const answer = await repository.request({ url: REPOSITORY, method: "POST", headers: fhir, body });
    known.ids.push(created(answer, "DocumentReference"));
  }
}

async function search(known) {
  const query = new URLSearchParams({ patient: known.patient, status: "current", _count: "2" });
  const found = await registry.request(`DocumentReference?${query}`, { pageLimit: 0, flat: true });
  same(found.map((each) => each.id).sort(), [...known.ids].sort(), "what all pages hold");
  const pages = await registry.request(`DocumentReference?${query}`, { pageLimit: 2 });
  same(pages.length, 2, "the pages");
}

async function read(known) {
  known.reference = await registry.request(`DocumentReference/${known.ids.at(-1)}`);
  const { subject } = await registry.request(`DocumentReference/${known.ids.at(-1)}`, { resolveReferences: ["subject"] });
  same(subject.resourceType ?? "Reference", subject.resourceType ?? "Reference", "the subject");
  const error = await refused(registry.request(`DocumentReference/${randomUUID()}`), "a document nobody has");
  same(error.status, 404, "the status of a document nobody has");
}

async function retrieve(known) {
  const { url, contentType } = known.reference.content[0].attachment;
  const answer = await registry.request({ url, headers: { accept: contentType }, includeResponse: true });
  const bytes = typeof answer.body === "string" ? Buffer.from(answer.body) : await answer.response.arrayBuffer();
  same(sha1(bytes), sha1(Buffer.from("letter 4")), "the hash");
}

async function replace(known) {
  const body = JSON.stringify(submission(known.patient, "corrected", known.ids[0]));
  await repository.request({ url: REPOSITORY, method: "POST", headers: fhir, body });
  same((await registry.request(`DocumentReference/${known.ids[0]}`)).status, "superseded", "the old one's status");
}

async function patch(known) {
  // This client sends `Prefer: return=presentation`, which nobody defines.
  const operations = [{ op: "replace", path: "/description", value: "Read by the family doctor" }];
  const patched = await registry.patch(`DocumentReference/${known.ids[1]}`, operations);
  same(patched.description, "Read by the family doctor", "the description");
}

async function update(known) {
  const resource = await registry.request(`DocumentReference/${known.ids[2]}`);
  resource.description = "Read by the family doctor";
  const headers = { "If-Match": `W/"${resource.meta.versionId}"` };
  const updated = await registry.update(resource, { headers: { "content-type": "application/json", ...headers } });
  same(updated.meta.versionId, "2", "the version");
}

async function validate(known) {
  const body = JSON.stringify(submission(known.patient, "only a question"));
  sound(await repository.request({ url: "Bundle/$validate", method: "POST", headers: fhir, body }));
}

async function mistake(known) {
  const bundle = submission(known.patient, "without a profile");
  delete bundle.meta;
  const body = JSON.stringify(bundle);
  const error = await refused(
    repository.request({ url: REPOSITORY, method: "POST", headers: fhir, body }), "a bundle without a profile");
  holds(error.message.includes("profile"), `the message tells what is missing: ${error.message}`);
}

await run("smart-client-js", [
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
