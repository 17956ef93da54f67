// The rooms that this browser has been in, each with the number of the last event that was read there.
import type { Person } from "./connection.ts";
import { $, h } from "./dom.ts";
import { history } from "./http.ts";

interface Visited { room: string; read?: number }
const KEPT = 12, LOOKED_AT = 20, LOOK_EVERY = 5 * 60_000;

const load = (): Visited[] => JSON.parse(localStorage.getItem("rooms") ?? "[]");
const save = (rooms: Visited[]) => localStorage.setItem("rooms", JSON.stringify(rooms.slice(0, KEPT)));

/** The last number read there; undefined for a room where one has not been. */
export const readIn = (room: string) => load().find((visited) => visited.room === room)?.read;
/** The room comes first, and is read up to here. */
export const visited = (room: string, read = readIn(room)) =>
  save([{ room, read }, ...load().filter((other) => other.room !== room)]);

/** What somebody may write for a room: "Team Lunch" is team-lunch. */
export const roomName = (text: string) =>
  text.trim().toLowerCase().replace(/[\s_]+/g, "-").replace(/[^a-z0-9-]/g, "").slice(0, 64);
export const address = (room: string) => `/?room=${room}`;

/** Shows them, with how many messages are new in each but the current one, and looks again from time to time. */
export function showRooms(me: Person, current?: string) {
  const counts = load().map(({ room, read }) => {
    const count = h("span", { className: "count" });
    const link = h("a", { href: address(room) }, h("span", {}, room), count);
    if (room === current) link.ariaCurrent = "page";
    $("recent").append(h("li", {}, link));
    return { room, read, count };
  });

  const look = async () => {
    if (document.hidden) return;
    for (const { room, read = 0, count } of counts) {
      if (room === current) continue;
      const { events } = await history(room, undefined, LOOKED_AT).catch(() => ({ events: [] })); // no reason to trouble anybody
      const began = (events.at(-1)?.seq ?? 0) < read; // anew, with lower numbers
      const unread = events.filter((event) => event.type === "message" && !event.deleted && event.author.id !== me.id
        && (began || event.seq > read)).length;
      const shown = `${unread}${unread === LOOKED_AT ? "+" : ""}`;
      count.replaceChildren(...(unread ? [shown, h("span", { className: "hidden" }, " new")] : []));
    }
  };
  look();
  setInterval(look, LOOK_EVERY);
  document.addEventListener("visibilitychange", look);
}
