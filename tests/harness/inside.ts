// The harness's own Workers inside workerd, in miniflare's form.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** request.cf of a visitor about whom a test says nothing else. */
export const CF = { colo: "LHR", country: "GB", continent: "EU", city: "London", timezone: "Europe/London", latitude: "51.5", longitude: "-0.12",
  asn: 64512, asOrganization: "Local", httpProtocol: "HTTP/1.1", tlsVersion: "TLSv1.3", tlsCipher: "AEAD-AES128-GCM-SHA256" };

const inline = (name: string, compatibilityFlags: string[], sources: Record<string, string>, env = {}, unsafeDirectSockets: object[] = []) => ({
  config: { name, compatibilityDate: "2026-11-01", compatibilityFlags, env, manifest: { mainModule: "index.js", modulesRoot: "/",
    modules: Object.fromEntries(Object.entries(sources).map(([file, contents]) => [file, { type: "esm", contents }])) } },
  dev: { unsafeDirectSockets },
});

/** edge.js in front of these Workers: one isolate, with an entry point E0, E1, ... and a socket for each. Who knows `key` is believed. */
export function edgeWorker(configs: { name: string; access?: any }[], key: string, sockets: object[]) {
  const access = Object.fromEntries(configs.flatMap(({ name, access: a }) =>
    (a?.dev ? [[name, JSON.stringify({ app_aud: a.dev.aud, jwt_claims: a.dev.identity })]] : [])));
  const targets = Object.fromEntries(configs.map(({ name }) => [name, { type: "worker", worker: name }]));
  const entryPoints = configs.map(({ name }, i) => `export const E${i} = edge(${JSON.stringify(name)});`);
  return inline("local-edge", ["service_binding_extra_handlers"], {
    "index.js": ['import { edge } from "./edge.js"; export default {};', ...entryPoints].join("\n"),
    "edge.js": readFileSync(join(import.meta.dirname, "edge.js"), "utf8"),
  }, { ...targets, EDGE: { type: "json", value: { key, cf: CF, access } } }, sockets);
}

/** Reaches into workerd for tests. (Its deleteAllDurableObjects looks like a fast reset and is not: it skips objects that are not running.) */
export const controlWorker = () => inline("local-control", ["unsafe_module"], { "index.js": `
  import { WorkerEntrypoint } from "cloudflare:workers"; import unsafe from "workerd:unsafe";
  export default class extends WorkerEntrypoint { async abortAll() { await unsafe.abortAllDurableObjects(); } }` });
