// A room on the page: the connection, and what shows it.
import { Composer } from "./composer.ts";
import { Connection, type Message, type Person, type Refusal, type Status } from "./connection.ts";
import { $, ask, h } from "./dom.ts";
import { history, session } from "./http.ts";
import { People } from "./people.ts";
import { readIn, visited } from "./rooms.ts";
import { moment, short, Timeline } from "./timeline.ts";

const TYPING_FOR = 5000, NOTICE_FOR = 6000;

/** Opens the room; `signedOut` is called when the session is no good any more. */
export function openRoom(room: string, me: Person, signedOut: (why: string) => void) {
  document.title = $("room-name").textContent = room;
  $("room").hidden = $("people").hidden = false;
  const read = readIn(room), kept = `outbox:${room}:${me.id}`; // survives a reload, like what was not sent
  visited(room);

  const people = new People(me, (person, sanction) => {
    if ("kick" in sanction) connection.kick(person.id);
    else connection.ban(person.id, new Date(Date.now() + sanction.banFor));
  });
  const timeline = new Timeline(me, {
    history: (before) => history(room, before),
    met: (person) => people.met(person),
    remove: async (message: Message) => {
      $("ask-delete-text").textContent = short(message.text);
      if (await ask($<HTMLDialogElement>("ask-delete"))) connection.delete(message.seq);
    },
    read: (seq) => visited(room, seq),
    unseen: (count) => { document.title = count ? `(${count}) ${room}` : room; },
  });
  const composer = new Composer(room, { send: (text) => connection.send(text), typing: () => connection.typing() });
  const typists = new Typists();

  const url = new URL(`/rooms/${room}/socket`, location.href.replace(/^http/, "ws"));
  const connection = new Connection(url, {
    status: (status) => {
      banner(status);
      $("house").classList.toggle("apart", status.state !== "open"); // who is here, is not known
      if (status.state !== "open") typists.clear();
      composer.enable(status.state !== "stopped");
      if (status.state === "stopped" && status.code === 4401) end();
      // Was the socket refused for want of a session? A browser does not tell.
      if (status.state === "waiting" && !status.opened && navigator.onLine) session().then((good) => good ?? end(), () => {});
    },
    welcome: ({ you, seq, members }, since) => {
      // Somebody else signed in meanwhile, in another tab: what waits here is not theirs.
      if (you.id !== me.id) {
        connection.close();
        return location.reload();
      }
      $("house").classList.toggle("owner", you.role === "owner");
      people.here(members);
      if (since === "entered") void timeline.enter(seq, read);
      if (since === "gap") timeline.line("Some messages in between are no longer kept.");
      if (since === "anew") {
        timeline.clear();
        timeline.line("The room was left by everybody, and begins anew.");
      }
    },
    event: (event) => {
      if (event.type === "message") typists.stop(event.author);
      timeline.add(event);
    },
    presence: (person, online) => {
      people.presence(person, online);
      if (!online) typists.stop(person);
    },
    typing: (person) => { if (person.id !== me.id) typists.start(person); }, // not of another tab
    outbox: (commands) => {
      sessionStorage.setItem(kept, JSON.stringify(commands));
      timeline.pending(commands);
    },
    // What is told already, or was there before; else its event is still to come, and takes its place.
    stored: ({ id }, seq) => { if (seq <= connection.last!) timeline.settle(id); },
    refused: (command, refusal) => {
      timeline.settle(command.id);
      if (command.type === "send" && !composer.text) composer.put(command.text);
      notice(refusalText(refusal));
    },
    limited: (ms) => notice(`That was a lot at once. The room takes more in ${Math.ceil(ms / 1000)} s; nothing is lost.`),
  }, { outbox: JSON.parse(sessionStorage.getItem(kept) ?? "[]") });

  function end() {
    connection.close();
    // Whoever signs in next is somebody else to the room: what was on its way becomes a draft again.
    const unsent = connection.outbox.flatMap((command) => (command.type === "send" ? command.text : []));
    composer.put([...unsent, composer.text].join("\n\n").trim());
    sessionStorage.removeItem(kept);
    signedOut("Your session has ended. Sign in again to go on.");
  }

  timeline.pending(connection.outbox);
  connection.connect();
  $("retry").addEventListener("click", () => connection.connect());
  addEventListener("online", () => connection.wake());
  addEventListener("offline", () => connection.sleep());
  document.addEventListener("visibilitychange", () => { if (!document.hidden) connection.wake(); }); // a phone's timers slept
  if (matchMedia("(hover: hover)").matches) $("text").focus(); // on a phone, a keyboard would cover half of the room
}

let counting: ReturnType<typeof setInterval>;
function banner(status: Status) {
  clearInterval(counting);
  if (status.state === "connecting") return; // how it ends, is told
  const trouble = $("trouble"), countdown = $("countdown"), retry = $("retry");
  $("banner").hidden = status.state !== "waiting" && status.state !== "stopped";
  countdown.textContent = "";
  retry.hidden = status.state === "stopped" && status.code === 4403;
  if (status.state === "waiting") {
    const why = { 4429: "That was too much at once.", 4503: "The room is full." }[status.code] ?? "The connection is lost.";
    trouble.textContent = navigator.onLine ? why : "You are offline.";
    retry.textContent = "Try now";
    // Seen, not announced: once a second is too often for an ear.
    const count = () => {
      countdown.textContent = `Trying again in ${Math.max(1, Math.ceil((status.until - Date.now()) / 1000))} s.`;
    };
    count();
    counting = setInterval(count, 250);
  } else if (status.state === "stopped") {
    const until = new Date(status.reason.replace(/^banned until /, ""));
    trouble.textContent = {
      4403: `You are banned from this room${isNaN(+until) ? "" : ` until ${moment(until)}`}.`,
      4409: "You have this room open too many times. Close it elsewhere first.",
      4410: "You were removed from this room.",
    }[status.code] ?? "";
    retry.textContent = status.code === 4410 ? "Come back" : "Try again";
  } else trouble.textContent = "";
}

const refusalText = ({ code, message }: Refusal) => ({
  forbidden: "You may not do that here.",
  not_found: "That is not there any more.",
  too_many_bans: "So many are banned already that the room takes no more bans.",
}[code] ?? `The room did not take that: ${message}`);

let noticed: ReturnType<typeof setTimeout>;
function notice(text: string) {
  clearTimeout(noticed);
  if ($("notice").textContent !== text) $("notice").textContent = text; // the same again is not announced again
  noticed = setTimeout(() => { $("notice").textContent = ""; }, NOTICE_FOR);
}

class Typists {
  #all = new Map<string, { person: Person; until: ReturnType<typeof setTimeout> }>();

  start(person: Person) {
    clearTimeout(this.#all.get(person.id)?.until);
    this.#all.set(person.id, { person, until: setTimeout(() => this.stop(person), TYPING_FOR) });
    this.#draw();
  }
  stop({ id }: Person) {
    clearTimeout(this.#all.get(id)?.until);
    if (this.#all.delete(id)) this.#draw();
  }

  clear() {
    for (const { person } of this.#all.values()) this.stop(person);
  }

  #draw() {
    const names = [...this.#all.values()].map(({ person }) => h("bdi", {}, person.name));
    $("typing").replaceChildren(...(
      names.length === 0 ? [] : names.length === 1 ? [names[0], " is typing"]
      : names.length === 2 ? [names[0], " and ", names[1], " are typing"] : ["Several people are typing"]));
  }
}
