// The little that makes elements bearable to write. Text only ever becomes text nodes.

/** The element of index.html with this id. */
export const $ = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;

type Tags = HTMLElementTagNameMap;
export function h<K extends keyof Tags>(tag: K, properties: Partial<Tags[K]> = {}, ...children: (Node | string)[]): Tags[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Makes `list` hold exactly these, in this order. What is there already and in its place is not touched, so keeps the focus. */
export function arrange(list: HTMLElement, elements: HTMLElement[]) {
  let next = list.firstElementChild;
  for (const element of elements) {
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
  while (next) [next] = [next.nextElementSibling, next.remove()];
}

let answer: ((value: string) => void) | undefined;

/** Opens a dialog, and waits for the value of the button that closes it; "" when it was left in another way. */
export function ask(dialog: HTMLDialogElement): Promise<string> {
  // The event of a close comes a little later: whoever asked before this may still wait, and is not to hear this answer.
  answer?.("");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    answer = done;
    const closed = () => {
      if (dialog.open) return; // that was the time before
      dialog.removeEventListener("close", closed);
      done(dialog.returnValue);
    };
    dialog.addEventListener("close", closed);
  });
}
