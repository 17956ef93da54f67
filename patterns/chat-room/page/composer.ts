// Where one writes. What is written stays there, for each room, until it is sent.
import { $ } from "./dom.ts";

/** As the room counts: characters, not UTF-16. */
const MOST = 4000, WARN = 200;
/** In milliseconds; the room drops hints that come more often than every 2 s. */
const HINT_EVERY = 3000;

export class Composer {
  #text = $<HTMLTextAreaElement>("text");
  #left = $<HTMLOutputElement>("left");
  #key: string;
  #hinted = 0;

  constructor(room: string, on: { send(text: string): void; typing(): void }) {
    this.#key = `draft:${room}`;
    this.put(sessionStorage.getItem(this.#key) ?? "");
    const form = $<HTMLFormElement>("composer");
    this.#text.addEventListener("keydown", (event) => {
      // While characters are being composed, Enter chooses one.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.#text.addEventListener("input", () => {
      this.#changed();
      if (!this.#text.value || Date.now() - this.#hinted < HINT_EVERY) return;
      this.#hinted = Date.now();
      on.typing();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.replace(/[^\P{Cc}\n\t]/gu, "").trim(); // what nobody sees, and the room does not take
      if (text && left(text) >= 0) {
        on.send(text);
        this.put("");
      }
      this.#text.focus();
    });
  }

  get text() { return this.#text.value; }
  put(text: string) {
    this.#text.value = text;
    this.#changed();
  }
  /** Who may not come back has nothing to write. */
  enable(enabled: boolean) { $<HTMLFormElement>("composer").inert = !enabled; }

  #changed() {
    const rest = left(this.#text.value);
    this.#left.textContent = rest > WARN ? "" : rest < 0 ? `${-rest} too many` : `${rest} left`;
    this.#text.ariaInvalid = String(rest < 0);
    sessionStorage.setItem(this.#key, this.#text.value);
  }
}

const left = (text: string) => MOST - [...text].length;
