// Who is here, and who has been.
import type { Member, Person } from "./connection.ts";
import { $, arrange, ask, h } from "./dom.ts";
import { markOf, nameOf } from "./names.ts";

interface Known { person: Person; role?: Member["role"]; online: boolean; element: HTMLLIElement; badge: HTMLElement }

export type Sanction = { kick: true } | { banFor: number };

export class People {
  #me: Person;
  #moderate: (person: Person, sanction: Sanction) => void;
  #known = new Map<string, Known>();
  #drawing = false;

  constructor(me: Person, moderate: (person: Person, sanction: Sanction) => void) {
    this.#me = me;
    this.#moderate = moderate;
  }

  /** These are here, and nobody else. */
  here(members: Member[]) {
    for (const known of this.#known.values()) known.online = false;
    for (const member of members) this.presence(member, true);
  }

  presence(person: Member, online: boolean) {
    Object.assign(this.#get(person), { role: person.role, online });
    this.#draw();
  }

  /** Somebody who said something is known, here or not. */
  met(person: Person) {
    if (this.#known.has(person.id)) return;
    this.#get(person);
    this.#draw();
  }

  #get(person: Person): Known {
    let known = this.#known.get(person.id);
    if (!known) {
      const badge = h("small"), manage = h("button", { className: "manage icon quiet", title: "Remove or ban" }, "⋯");
      manage.ariaLabel = `Remove or ban ${person.name} #${person.id.slice(0, 4)}`;
      manage.addEventListener("click", () => this.#ask(person));
      const element = h("li", {}, markOf(person), nameOf(person), badge, person.id === this.#me.id ? "" : manage);
      this.#known.set(person.id, (known = { person, online: false, element, badge }));
    }
    return known;
  }

  /** Once for all that comes at the same time. */
  #draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      const rank = ({ person, role }: Known) => (role === "owner" ? 0 : person.id === this.#me.id ? 1 : 2);
      const all = [...this.#known.values()].sort((a, b) => rank(a) - rank(b) || a.person.name.localeCompare(b.person.name));
      for (const { person, role, badge } of all)
        badge.textContent = [role === "owner" ? "owner" : "", person.id === this.#me.id ? "you" : ""].filter(Boolean).join(", ");
      const here = all.filter(({ online }) => online), gone = all.filter(({ online }) => !online);
      arrange($("here"), here.map(({ element }) => element));
      arrange($("gone"), gone.map(({ element }) => element));
      $("gone-title").hidden = !gone.length;
      $("people-count").textContent = String(here.length);
    });
  }

  async #ask(person: Person) {
    $("moderate-title").replaceChildren(nameOf(person));
    const answer = await ask($<HTMLDialogElement>("moderate"));
    if (answer) this.#moderate(person, answer === "kick" ? { kick: true } : { banFor: Number(answer) });
  }
}
