// Chromium for tests of pages, as scripts/setup finds or installs it.
import { existsSync } from "node:fs";
import axe from "axe-core";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

/** Each context of it is somebody's browser: with cookies and storage of its own. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium-headless-shell";
  if (!existsSync(executablePath))
    throw new Error(`no Chromium at ${executablePath}: ./scripts/test installs it where it can, or name yours in CHROMIUM_BIN`);
  // It opens the pages of this repository only, and in a container there is no other sandbox to be had.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
}

/** A list that fills with what must never happen in any of its pages: uncaught errors, and what the page's own policy forbids. */
export async function watchPages(context: BrowserContext): Promise<string[]> {
  const trouble: string[] = [];
  await context.addInitScript(() => addEventListener("securitypolicyviolation", (e) =>
    console.error(`Content Security Policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`)));
  context.on("weberror", (error) => trouble.push(String(error.error().stack)));
  context.on("console", (message) => {
    if (/content security policy|trusted/i.test(message.text())) trouble.push(message.text());
  });
  return trouble;
}

/** What axe finds wrong with the page as it is now: a line a rule and element. */
export async function findings(page: Page): Promise<string[]> {
  // Through the debugger, since the page's policy rightly lets nobody else in.
  const debug = await page.context().newCDPSession(page);
  await debug.send("Runtime.evaluate", { expression: axe.source });
  const expression = `axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => id + " " + target + ": " + failureSummary)))`;
  const { result, exceptionDetails } = await debug.send("Runtime.evaluate", { awaitPromise: true, returnByValue: true, expression });
  await debug.detach();
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}
