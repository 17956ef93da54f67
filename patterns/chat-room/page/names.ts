// Anybody can take any name. What tells two people apart is their id: it becomes a colour and, where names are the same, a tag.
import { h } from "./dom.ts";
import type { Person } from "./connection.ts";

/** What a reader takes for the same name: without case, accents, blanks and what is not seen. */
const looks = (name: string) => name.normalize("NFKD").toLowerCase().replace(/[\p{M}\p{C}\p{Z}]/gu, "");

/** Looks of a name -> who was seen under it. */
const seen = new Map<string, Set<string>>();

/** Any but olive, which nobody would choose. */
function hue(id: string): number {
  let hash = 0;
  for (const c of id) hash = Math.imul(hash ^ c.charCodeAt(0), 16777619); // FNV-1a
  return (130 + (hash >>> 8) % 310) % 360;
}

/** A person's name, in their colour. */
export function nameOf({ id, name }: Person): HTMLElement {
  const key = looks(name), ids = seen.get(key) ?? new Set();
  seen.set(key, ids.add(id));
  const tag = h("span", { className: "tag", hidden: ids.size < 2 }, ` #${id.slice(0, 4)}`);
  tag.dataset.looks = key;
  // Somebody else by that name: then also those that are on the page get their tags.
  if (ids.size === 2)
    for (const other of document.querySelectorAll<HTMLElement>(".tag[hidden]")) other.hidden = other.dataset.looks !== key;
  return colour(h("b", { className: "name" }, h("bdi", {}, name), tag), id);
}

/** The round mark beside a name, which a screen reader has no use for. */
export function markOf({ id, name }: Person): HTMLElement {
  const [first] = new Intl.Segmenter().segment(name); // a letter with all that belongs to it
  return colour(h("span", { className: "mark", ariaHidden: "true" }, first.segment.toUpperCase()), id);
}

function colour(element: HTMLElement, id: string) {
  element.style.setProperty("--hue", String(hue(id)));
  return element;
}
