// The messages: what was said before above, what is being said below, and where the reader is in it.
import type { Banned, Command, Durable, Kicked, Message, Person } from "./connection.ts";
import { $, h } from "./dom.ts";
import type { History } from "./http.ts";
import { markOf, nameOf } from "./names.ts";

interface Item { seq: number; at: Date; element: HTMLLIElement; day: HTMLElement; message?: Message }
interface Around {
  history(before: number): Promise<History>;
  met(person: Person): void;
  remove(message: Message): void;
  /** All up to this number was before the reader's eyes. */
  read(seq: number): void;
  /** So many messages of others were not. */
  unseen(count: number): void;
}

/** In milliseconds: the same author's next message within it needs no name. */
const GROUP = 5 * 60_000;
/** Beyond so many, the oldest leave the page: they can be scrolled back to. */
const SHOWN = 600;
const NOTHING = "Nothing has been said here yet. Whoever has this page's address can join you.";
const BEGINS = "This is where it begins.";
/** In pixels: older ones are loaded this long before the reader is there, and this near the end counts as the end. */
const AHEAD = 800, NEAR = 60;

export class Timeline {
  #me: Person;
  #around: Around;
  #log = $("log");
  #past = $("past");
  #live = $("live");
  #start = $("start");
  #latest = $<HTMLButtonElement>("latest");
  #unreadLine = h("p", { className: "unread" }, h("span", {}, "New messages"));

  #items: Item[] = [];
  #pending = new Map<string, HTMLLIElement>();
  /** Where older ones begin; undefined: there are none, or nobody has entered yet. */
  #before?: number;
  #loading = false;
  #last = 0;
  /** Deleted since one came in: a page of the past may have been on its way at that time. */
  #deleted = new Set<number>();
  /** What was read when one came in. */
  #readBefore = Infinity;
  #unseen = 0;
  /** The end is in view, and stays in view. */
  #atEnd = true;
  #top = 0;

  constructor(me: Person, around: Around) {
    this.#me = me;
    this.#around = around;
    this.#log.addEventListener("scroll", () => this.#scrolled());
    this.#latest.addEventListener("click", () => {
      this.toEnd();
      this.#log.focus();
    });
    document.addEventListener("visibilitychange", () => this.#attend());
    // Whatever grows (a message, the composer, a phone's keyboard): who was at the end stays there.
    const observer = new ResizeObserver(() => this.#atEnd && this.toEnd());
    for (const element of [this.#log, this.#past, this.#live, $("pending")]) observer.observe(element);
  }

  /** One came in after `last`, and had read up to `read` at an earlier visit. */
  async enter(last: number, read?: number) {
    this.#last = last;
    this.#before = last + 1;
    this.#readBefore = read ?? Infinity;
    await this.#older();
    if (!this.#unreadLine.isConnected) return this.toEnd();
    this.#unreadLine.scrollIntoView({ block: "start" });
    this.#atEnd = false; // unless it is in view as well
    this.#scrolled();
  }

  /** Everything of before is gone. */
  clear() {
    this.#past.replaceChildren();
    this.#live.replaceChildren();
    this.#start.replaceChildren();
    this.#items = [];
    this.#deleted.clear();
    this.#before = undefined;
    this.#last = 0;
  }

  add(event: Durable) {
    this.#last = event.seq;
    if (this.#start.textContent === NOTHING) this.#start.textContent = BEGINS;
    const item = this.#item(event);
    if (item) {
      const foreign = item.message && item.message.author.id !== this.#me.id;
      if (foreign && !this.#attends()) {
        if (!this.#unseen) this.#draw(item);
        this.#around.unseen(++this.#unseen);
      }
      this.#join(item, this.#items.at(-1));
      this.#items.push(item);
      this.#live.append(item.element);
      if (this.#atEnd) this.#trim();
    }
    this.#attend();
    this.#button();
  }

  /** A line that no event stands behind. */
  line(text: string) { this.#live.append(h("li", { className: "line" }, text)); }

  /** What is on its way, and not shown yet. */
  pending(commands: readonly Command[]) {
    for (const command of commands) {
      if (command.type !== "send" || this.#pending.has(command.id)) continue;
      const element = h("li", { className: "message mine" },
        h("div", { className: "body" }, textOf(command.text), h("small", { className: "sending" }, "Sending")));
      this.#pending.set(command.id, element);
      $("pending").append(element);
      this.#unreadLine.remove(); // who answers has read
      this.toEnd();
    }
  }

  settle(id: string) {
    this.#pending.get(id)?.remove();
    this.#pending.delete(id);
  }

  toEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#scrolled();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    if (scrollHeight - scrollTop - clientHeight < NEAR) this.#atEnd = true;
    else if (scrollTop < this.#top) this.#atEnd = false; // by the reader: what grows below does not count
    this.#top = scrollTop;
    if (scrollTop < AHEAD) void this.#older();
    this.#attend();
    this.#button();
  }

  #attends() { return this.#atEnd && !document.hidden; }

  #attend() {
    if (!this.#attends() || !this.#last) return;
    this.#unseen = 0;
    this.#around.unseen(0);
    this.#around.read(this.#last);
  }

  #button() {
    this.#latest.hidden = this.#atEnd;
    this.#latest.textContent = this.#unseen ? `${this.#unseen} new` : "Jump to latest";
  }

  /** The line before the first that was not read. */
  #draw({ element }: Item) {
    this.#readBefore = Infinity;
    element.prepend(this.#unreadLine);
  }

  async #older() {
    const before = this.#before;
    if (this.#loading || before === undefined) return;
    this.#loading = true;
    try {
      const { events, next_before } = await this.#around.history(before);
      if (this.#before !== before) { // cleared or trimmed meanwhile: this does not belong above what is shown now
        this.#loading = false;
        return;
      }
      this.#before = next_before ?? undefined;
      const below = this.#log.scrollHeight - this.#log.scrollTop; // what one reads stays where it is, from the end
      this.#prepend(events);
      const first = events[0]?.seq ?? this.#last + 1;
      this.#start.textContent = next_before !== null ? "" : first > 1 ? "Older messages are no longer kept."
        : this.#last ? BEGINS : NOTHING;
      this.#log.scrollTop = this.#log.scrollHeight - below;
      this.#loading = false;
      if (this.#log.scrollTop < AHEAD) await this.#older();
    } catch (problem) {
      // Stays in the way of further tries, until somebody wants one.
      const again = h("button", { className: "quiet" }, "Try again");
      again.addEventListener("click", () => {
        this.#loading = false;
        void this.#older();
      });
      this.#start.replaceChildren(`What was said before did not come. ${(problem as Error).message} `, again);
    }
  }

  #prepend(events: Durable[]) {
    const items = events.flatMap((event) => this.#item(event) ?? []), [next] = this.#items;
    for (const [i, item] of items.entries()) this.#join(item, items[i - 1]);
    if (next) this.#join(next, items.at(-1));
    this.#items.unshift(...items);
    const unread = this.#items.find(({ seq, message }) => seq > this.#readBefore && message && message.author.id !== this.#me.id);
    if (unread) unread.element.prepend(this.#unreadLine); // to be moved when more comes
    this.#past.prepend(...items.map(({ element }) => element));
  }

  #trim() {
    if (this.#items.length <= SHOWN) return;
    for (const { element } of this.#items.splice(0, SHOWN / 2)) element.remove();
    this.#before = this.#items[0].seq;
    this.#start.textContent = "";
  }

  /** How it looks depends on what stands before it. */
  #join(item: Item, previous: Item | undefined) {
    const sameDay = previous?.at.toDateString() === item.at.toDateString();
    item.day.hidden = sameDay;
    const same = item.message !== undefined && item.message.author.id === previous?.message?.author.id;
    item.element.classList.toggle("follows", sameDay && same && +item.at - +previous!.at < GROUP);
  }

  /** Undefined for what is not shown in a place of its own. */
  #item(event: Durable): Item | undefined {
    const at = new Date(event.at), day = h("p", { className: "day" }, dayOf(at)), base = { seq: event.seq, at, day };
    switch (event.type) {
      case "message": {
        this.settle(event.id);
        this.#around.met(event.author);
        return { ...base, message: event, element: this.#message(event, at, day) };
      }
      case "deleted": {
        this.#deleted.add(event.target);
        const target = this.#items.find(({ seq }) => seq === event.target);
        if (target) erase(target.element);
        return undefined;
      }
      case "kicked":
      case "banned":
        return { ...base, element: h("li", { className: "line" }, day, timeOf(at), " ", ...moderation(event)) };
    }
  }

  #message(message: Message, at: Date, day: HTMLElement) {
    const { author, text, deleted = this.#deleted.has(message.seq) } = message;
    const remove = h("button", { className: "delete quiet", title: "Delete" }, icon("M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12"));
    remove.ariaLabel = `Delete “${short(text)}”`;
    remove.addEventListener("click", () => this.#around.remove(message));
    const element = h("li", { className: `message${author.id === this.#me.id ? " mine" : ""}` }, day,
      h("div", { className: "head" }, markOf(author), nameOf(author), " ", timeOf(at)),
      h("div", { className: "body" }, textOf(text), remove));
    if (deleted) erase(element);
    return element;
  }
}

function erase(element: HTMLElement) {
  element.classList.add("deleted");
  element.querySelector(".text")?.replaceChildren("This message was deleted.");
  element.querySelector(".delete")?.remove();
}

function moderation(event: Kicked | Banned): (Node | string)[] {
  const who = [nameOf(event.person), event.type === "kicked" ? " was removed by " : " was banned by ", nameOf(event.by)];
  return event.type === "kicked" ? who : [...who, ` until ${moment(new Date(event.until))}`];
}

/** Whole addresses become links, which show exactly what was written. */
function textOf(text: string) {
  const parts = text.split(/(https?:\/\/[^\s<>"]*[^\s<>"'.,;:!?)\]])/);
  return h("p", { className: "text", dir: "auto" }, ...parts.map((part, i) =>
    (i % 2 && URL.canParse(part) ? h("a", { href: part, target: "_blank", rel: "noopener noreferrer nofollow" }, part) : part)));
}

export const short = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });
/** With the date only where it is needed. */
export const moment = (at: Date) => (at.toDateString() === new Date().toDateString() ? hour : whole).format(at);
const timeOf = (at: Date) => h("time", { dateTime: at.toISOString(), title: whole.format(at) }, hour.format(at));

function dayOf(at: Date) {
  const daysAgo = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86_400_000);
  return ["Today", "Yesterday"][daysAgo] ?? date.format(at);
}

function icon(path: string) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.ariaHidden = "true";
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}
