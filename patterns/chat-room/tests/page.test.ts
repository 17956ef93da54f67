// The page in real browsers, before the Worker that would be deployed.
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { findings, startBrowser, watchPages } from "../../../tests/harness/browser.ts";
import { startPattern } from "../../../tests/harness/pattern.ts";
import { PATIENCE } from "./client.ts";

const pattern = join(import.meta.dirname, ".."), worker = basename(pattern);
let stack: Awaited<ReturnType<typeof startPattern>>, browser: Browser, origin: string, room: string;
let rooms = 0;
const watched: string[][] = [];
before(async () => {
  [stack, browser] = await Promise.all([startPattern(pattern), startBrowser()]);
  origin = stack.urls.get(worker)!.origin;
});
after(async () => {
  await browser?.close();
  await stack?.close();
  assert.deepEqual(watched.flat(), []); // no error that nobody caught, nothing that the policy forbids
});
beforeEach(() => { room = `room-${++rooms}`; });
afterEach(async () => { for (const context of browser.contexts()) await context.close(); });

/** Somebody in a browser of their own, at the door. */
async function visitor(options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext(options);
  watched.push(await watchPages(context));
  const page = await context.newPage();
  await page.goto(`${origin}/?room=${room}`);
  return page;
}
/** Somebody who is in the room. */
async function person(name: string, options?: BrowserContextOptions): Promise<Page> {
  const page = await visitor(options);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Enter" }).click();
  await page.locator("#here li", { hasText: "you" }).waitFor({ state: "attached" });
  return page;
}
const text = (page: Page) => page.getByRole("textbox", { name: "Message" });
async function write(page: Page, ...texts: string[]) {
  for (const t of texts) {
    await text(page).fill(t);
    await text(page).press("Enter");
  }
}
const message = (page: Page, t: string) => page.locator("#log .message", { hasText: t });
/** What stands in the room, from the top, without what is only on its way. */
const texts = (page: Page) => page.locator(":is(#past, #live) .text").allTextContents();
const until = async (what: () => Promise<boolean>, why: string) => {
  for (const end = Date.now() + PATIENCE; !(await what()); await new Promise((done) => setTimeout(done, 50)))
    assert.ok(Date.now() < end, why);
};
const reads = (page: Page, ...wanted: string[]) =>
  until(async () => String(await texts(page)) === String(wanted), `not yet: ${wanted}`);

/** Somebody without a browser says all of this. */
async function says(name: string, ...all: string[]) {
  const headers = { "content-type": "application/json" };
  const session = await stack.fetch(worker, "/session", { method: "POST", headers, body: JSON.stringify({ name }) });
  const { token } = await session.json() as { token: string };
  const options = { protocols: "edge-chat.v1", headers: { authorization: `Bearer ${token}` } };
  // @ts-expect-error Node's own takes headers, too
  const socket = new WebSocket(`${origin.replace("http", "ws")}/rooms/${room}/socket`, options);
  let stored = 0;
  await new Promise<void>((done, fail) => {
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: "hello" }));
      for (const [i, t] of all.entries()) socket.send(JSON.stringify({ type: "send", id: `c-${i}`, text: t }));
    };
    socket.onmessage = ({ data }) => { if (JSON.parse(data).type === "ack" && ++stored === all.length) done(); };
    socket.onclose = ({ code, reason }) => fail(new Error(`${code} ${reason}`));
  });
  socket.close();
}

test("two people talk: they see each other, who is typing, and what is said", async () => {
  const ann = await person("ann"), bob = await person("bob");
  await ann.locator("#here", { hasText: "bob" }).waitFor();
  await text(bob).pressSequentially("hel");
  await ann.getByText("bob is typing").waitFor();
  await write(bob, "hello ann");
  await reads(ann, "hello ann");
  await ann.getByText("bob is typing").waitFor({ state: "hidden" });
  await write(ann, "hello bob", "how are you?");
  await reads(bob, "hello ann", "hello bob", "how are you?");
  assert.equal(await message(bob, "hello bob").locator(".name bdi").textContent(), "ann");
  assert.equal(await message(bob, "how are you?").evaluate((e) => e.matches(".follows")), true);
  assert.equal(await message(bob, "hello ann").evaluate((e) => e.matches(".mine")), true);
  assert.equal(await ann.locator("#here li", { hasText: "owner" }).locator(".name bdi").textContent(), "ann");
  await bob.close();
  await ann.locator("#gone", { hasText: "bob" }).waitFor();
});

test("one is offline, writes, and comes back: all of it is there, once, and in the same order for both", async () => {
  const ann = await person("ann"), bob = await person("bob");
  await write(ann, "before");
  await reads(bob, "before");
  await bob.context().setOffline(true);
  await bob.getByText("You are offline.").waitFor();
  await ann.locator("#gone", { hasText: "bob" }).waitFor();
  await write(bob, "from far away 1", "from far away 2");
  await write(ann, "are you there?");
  assert.equal(await bob.locator("#pending .text").count(), 2);
  await bob.reload().catch(() => {}); // what waits survives even that
  await bob.context().setOffline(false);
  await bob.goto(`${origin}/?room=${room}`);
  const all = ["before", "are you there?", "from far away 1", "from far away 2"];
  await reads(ann, ...all);
  await reads(bob, ...all);
  assert.equal(await bob.locator("#pending .message").count(), 0);
});

test("every socket is cut in the middle of a conversation: nothing is lost, and nothing comes twice", async () => {
  const ann = await person("ann"), bob = await person("bob"), all = Array.from({ length: 12 }, (_, i) => `number ${i}`);
  for (const [i, t] of all.entries()) {
    await write(i % 2 ? ann : bob, t);
    if (i % 4 === 1) await stack.abortObjects();
  }
  for (const page of [ann, bob]) await until(async () => (await texts(page)).length >= all.length, "some are missing");
  const said = await texts(ann);
  assert.deepEqual(said.toSorted(), all.toSorted());
  assert.deepEqual(await texts(bob), said);
  for (const mine of [0, 1]) // each one's in the order in which they wrote
    assert.deepEqual(said.filter((t) => all.indexOf(t) % 2 === mine), all.filter((_, i) => i % 2 === mine));
  await ann.locator("#banner").waitFor({ state: "hidden" });
});

test("offline, it says so, and when it will try again; online, it comes back at once", async () => {
  const ann = await person("ann");
  await ann.context().setOffline(true);
  await ann.getByText("You are offline.").waitFor();
  await ann.getByText(/Trying again in \d+ s\./).waitFor();
  await ann.getByRole("button", { name: "Try now" }).click();
  await ann.getByText(/Trying again in \d+ s\./).waitFor();
  await ann.context().setOffline(false);
  await ann.locator("#banner").waitFor({ state: "hidden" });
});

test("a session that has ended leads to the door, and what was not sent is kept", async () => {
  const ann = await person("ann");
  await ann.context().setOffline(true);
  await write(ann, "not yet sent");
  await ann.context().clearCookies();
  await ann.context().setOffline(false);
  await ann.getByText("Your session has ended.").waitFor();
  await ann.getByRole("button", { name: "Enter" }).click(); // the name is still there
  await until(async () => (await text(ann).inputValue()) === "not yet sent", "the text is not back");
  await text(ann).press("Enter");
  await reads(ann, "not yet sent");
});

test("what was not read is counted where one is not, and marked where one comes in", async () => {
  const ann = await person("ann"), bob = await person("bob");
  await write(ann, "read");
  await reads(bob, "read");
  await bob.goto(`${origin}/`);
  await write(ann, "unread 1", "unread 2");
  await reads(ann, "read", "unread 1", "unread 2");
  await bob.reload();
  await bob.getByRole("link", { name: `${room} 2 new` }).click();
  await reads(bob, "read", "unread 1", "unread 2");
  assert.equal(await bob.locator(".message:has(.unread) .text").textContent(), "unread 1");
  await write(bob, "now I know"); // who answers has read
  await bob.locator(".unread").waitFor({ state: "detached" });
});

test("at the end, one stays there, however much comes", async () => {
  const ann = await person("ann");
  for (const eve of ["eve", "adam"]) await says(eve, ...Array.from({ length: 40 }, (_, i) => `${eve} ${i}`));
  await until(() => inView(message(ann, "adam 39")), "the end is not in view");
  assert.equal(await ann.locator("#latest").isVisible(), false);
});

test("scrolled up, one is not torn away, and jumps to the latest when one wants", async () => {
  await says("eve", ...Array.from({ length: 40 }, (_, i) => `line ${i}`));
  const ann = await person("ann"), bob = await person("bob");
  await message(ann, "line 39").waitFor();
  await ann.locator("#log").evaluate((log) => { log.scrollTop = 0; });
  await ann.getByRole("button", { name: "Jump to latest" }).waitFor();
  await write(bob, "news", "more news");
  await ann.getByRole("button", { name: "2 new" }).waitFor();
  assert.equal(await ann.title(), `(2) ${room}`);
  assert.equal(await ann.locator("#log").evaluate((log) => log.scrollTop), 0);
  await ann.getByRole("button", { name: "2 new" }).click();
  await until(() => inView(message(ann, "more news")), "the end is not in view");
  assert.equal(await ann.locator(".message:has(.unread) .text").textContent(), "news");
  assert.equal(await ann.title(), room);
});

test("scrolling back brings all of the past, and what one reads stays where it is", async () => {
  const all = Array.from({ length: 160 }, (_, i) => `line ${i}`);
  for (let i = 0; i < all.length; i += 40) await says(`eve ${i}`, ...all.slice(i, i + 40));
  const ann = await person("ann");
  await message(ann, "line 159").waitFor();
  const places = await ann.evaluate(async () => {
    const log = document.getElementById("log")!, moved: number[] = [];
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    // Upwards in small steps. What is in view moves by a step, whatever is put in above it.
    for (let i = 0; i < 2000 && log.scrollTop > 0; i++) {
      const { x, y } = log.getBoundingClientRect(), seen = document.elementFromPoint(x + 80, y + 200)?.closest(".message");
      const from = seen?.getBoundingClientRect().y, step = Math.min(40, log.scrollTop);
      log.scrollTop -= step;
      await frame();
      await frame();
      if (seen && from !== undefined) moved.push(Math.round(seen.getBoundingClientRect().y - from - step));
    }
    return moved;
  });
  assert.ok(places.length > 20);
  assert.ok(places.every((by) => Math.abs(by) <= 1), String(places));
  assert.deepEqual(await texts(ann), all);
  assert.equal(await ann.locator("#start").textContent(), "This is where it begins.");
});

test("one deletes one's own messages, and the owner everybody's; the text is gone, also from the past", async () => {
  const ann = await person("ann"), bob = await person("bob");
  await write(ann, "by the owner");
  await write(bob, "oops", "rude");
  await reads(ann, "by the owner", "oops", "rude");
  assert.equal(await message(bob, "by the owner").getByRole("button").count(), 0);
  await remove(bob, "oops");
  await remove(ann, "rude");
  const left = ["by the owner", "This message was deleted.", "This message was deleted."];
  await reads(ann, ...left);
  await reads(bob, ...left);
  await bob.reload();
  await reads(bob, ...left);
});
async function remove(page: Page, t: string) {
  await message(page, t).hover();
  await message(page, t).getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
}

test("the owner removes somebody, who may come back, and bans somebody, who may not", async () => {
  const ann = await person("ann"), bob = await person("bob");
  assert.equal(await bob.getByRole("button", { name: /^Remove or ban/ }).count(), 0);
  await moderate(ann, "bob", /^Remove/);
  await bob.getByText("You were removed from this room.").waitFor();
  await ann.getByText(/bob.* was removed by ann/).waitFor();
  await bob.getByRole("button", { name: "Come back" }).click();
  await ann.locator("#here", { hasText: "bob" }).waitFor();
  await write(bob, "here again");
  await reads(ann, "here again");
  await moderate(ann, "bob", /^Ban for a day/);
  await bob.getByText(/^You are banned from this room until .+\./).waitFor();
  await ann.getByText(/bob.* was banned by ann.* until/).waitFor();
  assert.equal(await bob.locator("#composer").evaluate((form) => (form as HTMLElement).inert), true);
  await bob.reload();
  await bob.getByText(/^You are banned from this room until .+\./).waitFor();
  assert.equal(await bob.getByRole("button", { name: "Try again" }).count(), 0);
});
async function moderate(page: Page, name: string, choice: RegExp) {
  await page.getByRole("button", { name: `Remove or ban ${name}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: choice }).click();
}

test("two of the same name are told apart", async () => {
  const ann = await person("ann"), bob = await person("bob");
  await person("Ánn");
  await ann.locator("#here", { hasText: "Ánn" }).waitFor();
  const names = await ann.locator("#here .name").evaluateAll((all) => all.map((name) => (name as HTMLElement).innerText));
  assert.match(names.join(), /ann #\w{4}/);
  assert.match(names.join(), /Ánn #\w{4}/);
  assert.equal(names.filter((name) => name === "bob").length, 1);
  await bob.close();
});

test("whatever is written is text, and stays in its place", async () => {
  const hostile = ["<img src=x onerror=alert(1)><script>alert(2)</script>", "&lt;b&gt; {{7*7}} ${alert(3)} javascript:alert(4)",
    "x".repeat(3900),
    "\u202eright to left override", "שלום, ann\u2067 عليكم", "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d".repeat(20)];
  const ann = await person("ann"), bob = await person('<b>"bob"</b>\u202e');
  let asked = false;
  for (const page of [ann, bob]) page.on("dialog", () => { asked = true; });
  await write(bob, ...hostile);
  await reads(ann, ...hostile);
  assert.equal(await message(ann, "onerror").locator(".name bdi").textContent(), '<b>"bob"</b>\u202e');
  assert.equal(await ann.locator("#log :is(script, .text *)").count(), 0);
  for (const page of [ann, bob])
    assert.equal(await page.locator("#log").evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth), 0);
  assert.equal(asked, false);

  await write(ann, "see https://example.com/a?b=<c>, or javascript:alert(1)");
  const link = ann.locator(".text a"); // of several this would complain
  assert.equal(await link.getAttribute("href"), "https://example.com/a?b=");
  assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow");
});

test("the writer sees what is left near the end, and cannot send more", async () => {
  const ann = await person("ann");
  await text(ann).fill("é".repeat(3900));
  await ann.getByText("100 left").waitFor();
  await text(ann).fill("🙂".repeat(4001)); // 4,001 characters, though twice as many in UTF-16
  await ann.getByText("1 too many").waitFor();
  await text(ann).press("Enter");
  assert.equal(await ann.locator("#log .message").count(), 0);
  await text(ann).press("Backspace");
  await text(ann).press("Enter");
  await reads(ann, "🙂".repeat(4000));
});

test("more than the room takes at once goes out a little later, in order, and the writer is told", async () => {
  const ann = await person("ann"), all = Array.from({ length: 60 }, (_, i) => `quick ${i}`);
  await ann.evaluate((all) => { // faster than a tester's hands
    for (const t of all) {
      document.querySelector("textarea")!.value = t;
      document.querySelector<HTMLFormElement>("#composer")!.requestSubmit();
    }
  }, all);
  await ann.getByText(/That was a lot at once/).waitFor();
  await reads(ann, ...all);
});

test("everything is done with the keyboard alone", async () => {
  const bob = await person("bob"), ann = await visitor(), key = ann.keyboard; // bob owns the room
  await ann.locator("#name:focus").waitFor();
  await key.type("ann");
  await key.press("Enter");
  await ann.locator("#here li", { hasText: "you" }).waitFor();
  await key.type("one");
  await key.press("Shift+Enter");
  await key.type("two");
  await key.press("Enter");
  await reads(ann, "one\ntwo");
  await press(ann, "Shift+Tab", "Delete “one"); // from the composer up to the message
  await key.press("Enter");
  await press(ann, "Tab", "Delete");
  await key.press("Enter");
  await reads(ann, "This message was deleted.");

  await press(bob, "Tab", "Remove or ban ann");
  await bob.keyboard.press("Enter");
  await bob.keyboard.press("Escape"); // thought better of it
  assert.match(await focused(bob), /^Remove or ban ann/);
  await bob.keyboard.press("Enter");
  await press(bob, "Tab", "Remove\n");
  await bob.keyboard.press("Enter");
  await ann.getByRole("button", { name: "Come back" }).waitFor();
  await press(ann, "Tab", "Come back");
  await key.press("Enter");
  await bob.locator("#here", { hasText: "ann" }).waitFor();

  await press(ann, "Shift+Tab", "Go to a room");
  await key.type("Another Room!");
  await key.press("Enter");
  await ann.waitForURL("**/?room=another-room");
  await ann.locator("#here li", { hasText: "you" }).waitFor();
  await press(ann, "Shift+Tab", "Sign out");
  await key.press("Enter");
  await ann.getByRole("heading", { name: "Come in" }).waitFor();
});
/** What the focused element is called. */
const focused = (page: Page) => page.evaluate(() => {
  const e = document.activeElement as HTMLElement & { labels?: NodeListOf<HTMLElement> };
  return e.ariaLabel ?? e.labels?.[0]?.textContent ?? e.innerText;
});
/** Presses a key until the focus is there. */
async function press(page: Page, key: string, name: string) {
  for (let i = 0; i < 40; i++) {
    if ((await focused(page)).startsWith(name)) return;
    await page.keyboard.press(key);
  }
  assert.fail(`${key} does not lead to ${name}`);
}
const inView = (element: Locator) => element.evaluate((e) => {
  const { top, bottom } = e.getBoundingClientRect(), log = document.getElementById("log")!.getBoundingClientRect();
  return top >= log.top - 1 && bottom <= log.bottom + 1;
});

describe("axe finds nothing", () => {
  for (const colorScheme of ["light", "dark"] as const) for (const phone of [false, true])
    test(`${colorScheme}, ${phone ? "phone" : "desktop"}`, async () => {
      const viewport = phone ? { width: 390, height: 844 } : { width: 1280, height: 800 };
      const options = { colorScheme, viewport, hasTouch: phone, isMobile: phone };
      const door = await visitor(options);
      await door.getByLabel("Your name").waitFor();
      assert.deepEqual(await findings(door), [], "the door");

      const ann = await person("ann", options), bob = await person("bob", { colorScheme, viewport });
      await write(bob, "hello", "a second one", "to be deleted", "https://example.com/");
      await write(ann, "hi bob");
      await remove(bob, "to be deleted");
      await text(await person("ann")).pressSequentially("h"); // another one
      await ann.getByText("ann is typing").waitFor();
      await message(ann, "was deleted").waitFor();
      assert.deepEqual(await findings(ann), [], "a room");

      await message(ann, "hi bob").hover();
      await message(ann, "hi bob").getByRole("button", { name: "Delete" }).click();
      assert.deepEqual(await findings(ann), [], "deleting");
      await ann.getByRole("button", { name: "Keep it" }).click();
      if (phone) await ann.getByRole("button", { name: "People here" }).click();
      assert.deepEqual(await findings(ann), [], "people");
      await ann.getByRole("button", { name: "Remove or ban bob" }).click();
      assert.deepEqual(await findings(ann), [], "moderating");
      await ann.getByRole("button", { name: "Ban for 10 minutes" }).click();
      await bob.getByText(/^You are banned/).waitFor();
      assert.deepEqual(await findings(bob), [], "banned");

      await ann.context().setOffline(true);
      await ann.getByText("You are offline.").waitFor();
      await write(ann, "waiting");
      await ann.waitForTimeout(1000); // what appears late is there
      assert.deepEqual(await findings(ann), [], "offline");
      await ann.context().setOffline(false);
      await ann.goto(`${origin}/`);
      await ann.getByRole("link", { name: room }).waitFor();
      assert.deepEqual(await findings(ann), [], "no room");
    });
});

test("the page is small, and lets nothing in but its own", async () => {
  const { headers } = await stack.fetch(worker, "/");
  const policy = headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';/);
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  const files = ["/", "/app.js", "/style.css", "/icon.svg"], whole = files.map(async (path) => (await stack.fetch(worker, path)).text());
  const size = (await Promise.all(whole)).reduce((sum, file) => sum + gzipSync(file).length, 0);
  assert.ok(size < 15_000, `${size} bytes, compressed`);
});
