// The commands of the "Deploy" sections, of the repository and of every pattern, in their order: the account is as empty after the last as before the first.
import assert from "node:assert/strict";
import { readFileSync, symlinkSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { describe, test } from "node:test";
import { readPattern, slugs } from "../harness/pattern.ts";
import { Checkout, run } from "./rehearsal.ts";
import { Cloudflare } from "./cloudflare.ts";

const ROOT = resolve(import.meta.dirname, "../..");

describe("READMEs", { concurrency: 2 }, () => {
  const sections = slugs().map((slug): [string, string] => [slug, join(readPattern(slug).folder, "README.md")]);
  for (const [slug, readme] of [["tiny-api", join(ROOT, "README.md")], ...sections]) {
    test(`${relative(ROOT, readme)}: what it says about deployment works, word for word`, async () => {
      const { workers } = readPattern(slug), cloudflare = await Cloudflare.start(), checkout = new Checkout();
      try {
        symlinkSync(join(ROOT, "node_modules"), join(checkout.root, "node_modules")); // for npx
        checkout.write("package.json", '{ "scripts": { "build": "true" } }'); // the Workers are built
        const [, section] = /^## Deploy\n([^]*?)^## /m.exec(readFileSync(readme, "utf8"))!;
        let deployed = 0;
        for (const [, before, language, block] of section.matchAll(/([^]*?)^```(\w+)\n([^]*?)^```$/gm)) {
          if (language !== "sh") {
            const [, file] = new RegExp(`\`(environments/\\w+\\.${language})\``).exec(before)!;
            checkout.write(file, block);
            continue;
          }
          const cwd = join(checkout.root, /, in `(patterns\/[^`]*)`/.exec(before)?.[1] ?? ".");
          for (const line of block.trim().split("\n")) {
            let [command, comment = ""] = line.split(/ +# /);
            const [, file] = /its ID is in (\S+)/.exec(comment) ?? [];
            if (file) command = command.replace(" ID", ` ${[...cloudflare.kv.keys()].find((id) => checkout.file(file)!.includes(id))}`);
            // The script is this checkout's own, and what it deploys is in the other one; nobody is there to answer a question.
            if (command.startsWith("./scripts/")) command = `cd ${ROOT} && ${command} --root ${checkout.root}${command.includes("--teardown") ? " --yes" : ""}`;
            const { status, out } = await run("sh", ["-c", command], cwd, { ...cloudflare.env, EDGE_BUILT: "1" });
            assert.equal(status, 0, `${line}\n${out}`);
            const [, config] = /put its id into (\S+)/.exec(comment) ?? [];
            if (config) fillIn(checkout, join(cwd, config), /\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-f]{32}\b/.exec(out.replaceAll(/accounts\/\w+/g, ""))![0]);
            if (cloudflare.workers.size === workers.length) deployed++;
          }
        }
        assert.ok(deployed >= 2, "twice: by the script, and by hand or elsewhere");
        assert.deepEqual(Object.values(cloudflare.state).flat(), []);
        assert.deepEqual(cloudflare.unknown, []);
      } finally {
        await cloudflare.close();
        checkout.remove();
      }
    });
  }
});

/** As the text says: the first blank id of this kind. */
function fillIn(checkout: Checkout, file: string, id: string) {
  const path = file.slice(checkout.root.length + 1), text = checkout.file(path)!, blank = id.replace(/[^-]/g, "0");
  assert.ok(text.includes(`"${blank}"`), `${path} has no ${blank}`);
  checkout.write(path, text.replace(`"${blank}"`, `"${id}"`));
}
