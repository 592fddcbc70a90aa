// What every client of JavaScript is tried with: messages with fresh ids, and flows that are run one after the other and told.

import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

export const { REGISTRY, REPOSITORY, IDENTITY } = process.env;
export const DOMAIN = "urn:oid:2.25.271828182845904523536028747135266249775";

/** A flow that cannot be tried here; the reason is printed. */
export class Skip extends Error {}

function filled(name, values) {
  let text = readFileSync(new URL(`../message/${name}`, import.meta.url), "utf8");
  for (const [word, value] of Object.entries(values)) text = text.replaceAll(`{{${word}}}`, value);
  return JSON.parse(text);
}

export const patient = (number) => filled("patient.json", { domain: DOMAIN, number });

const freshOid = () => `urn:oid:2.25.${BigInt(`0x${randomUUID().replaceAll("-", "")}`)}`;

export const sha1 = (bytes) => createHash("sha1").update(Buffer.from(bytes)).digest("hex");

/** A bundle of ITI-65 with one document; with the id of another one it replaces that. */
export function submission(subject, content, replaces) {
  const documentUrl = `urn:uuid:${randomUUID()}`;
  const bundle = filled("bundle.json", {
    patient: subject,
    "set url": `urn:uuid:${randomUUID()}`,
    "set id": freshOid(),
    "document url": documentUrl,
    "document id": freshOid(),
    "binary url": `urn:uuid:${randomUUID()}`,
    data: Buffer.from(content).toString("base64"),
  });
  const reference = bundle.entry[1].resource;
  const attachment = reference.content[0].attachment;
  attachment.size = Buffer.byteLength(content);
  attachment.hash = createHash("sha1").update(content).digest("base64");
  if (replaces) {
    reference.relatesTo = [{ code: "replaces", target: { reference: `DocumentReference/${replaces}` } }];
    bundle.entry.push(superseding(replaces));
  }
  return bundle;
}

/** The entry that sets a replaced document to superseded. */
function superseding(id) {
  const part = [
    { name: "type", valueCode: "replace" },
    { name: "path", valueString: "DocumentReference.status" },
    { name: "value", valueCode: "superseded" },
  ];
  return {
    fullUrl: `${REGISTRY}/DocumentReference/${id}`,
    resource: {
      resourceType: "Parameters",
      meta: { profile: ["https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Patch.Parameters"] },
      parameter: [{ name: "operation", part }],
    },
    request: { method: "PATCH", url: `DocumentReference/${id}` },
  };
}

/** The id of what a transaction made of a type. */
export function created(answer, kind) {
  for (const entry of answer.entry) {
    const parts = entry.response.location.split("/");
    if (parts.includes(kind)) return parts[parts.indexOf(kind) + 1];
  }
  throw new Error(`the answer names no ${kind}: ${JSON.stringify(answer).slice(0, 500)}`);
}

export function same(got, expected, what) {
  const [left, right] = [JSON.stringify(got), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what} is ${left}, expected ${right}`);
}

export const holds = (condition, what) => {
  if (!condition) throw new Error(what);
};

/** No error of severity error or fatal in an outcome. */
export function sound(outcome) {
  same(outcome.resourceType, "OperationOutcome", "the answer");
  const wrong = outcome.issue.filter((issue) => ["error", "fatal"].includes(issue.severity));
  holds(wrong.length === 0, `a sound bundle is found sound: ${JSON.stringify(wrong)}`);
}

/** What a promise is refused with. */
export async function refused(promise, what) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what} is taken`);
}

/** Runs [name, function] in order; each function gets what the ones before it left behind. One line each. */
export async function run(client, flows) {
  const known = {};
  let failed = false;
  for (const [name, flow] of flows) {
    try {
      await flow(known);
      console.log(`passed   ${client} ${name}`);
    } catch (error) {
      if (error instanceof Skip) {
        console.log(`skipped  ${client} ${name}: ${error.message}`);
        continue;
      }
      failed = true;
      const body = error.response?.data ?? error.outcome ?? "";
      const told = `${error.name}: ${error.message} ${JSON.stringify(body)}`.replaceAll("\n", " ");
      console.log(`FAILED   ${client} ${name}: ${told.slice(0, 1500)}`);
    }
  }
  process.exit(failed ? 1 : 0);
}
