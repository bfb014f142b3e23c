// Search as you type: a combobox over /api/v1/tickers/. Arrows choose, Enter acts, Escape closes.
import { find } from "./api.js";
import { element, option } from "./options.js";

const TYPING_MS = 120;
let made = 0;

export class Combobox {
  #input;
  #list;
  #results = [];
  #chosen = -1;
  #asked = 0;
  #timer = 0;
  #pick;
  #hint;

  // `pick(result, event)` acts on a choice.
  constructor(form, pick, hint) {
    this.#input = form.querySelector("input[type=text]");
    this.#pick = pick;
    this.#hint = hint;
    this.#list = element("div", "results");
    this.#list.hidden = true;
    this.#input.parentElement.append(this.#list);
    const id = `results-${++made}`;
    for (const [name, value] of Object.entries({ role: "combobox", "aria-expanded": "false", "aria-controls": id, "aria-autocomplete": "list" })) {
      this.#input.setAttribute(name, value);
    }
    this.#list.id = id;
    this.#list.setAttribute("role", "listbox");
    this.#list.setAttribute("aria-label", "Tickers");
    this.#input.addEventListener("input", () => this.#soon());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("blur", () => this.close());
    this.#list.addEventListener("mousedown", (event) => event.preventDefault()); // keep the focus in the field
    this.#list.addEventListener("click", (event) => this.#clicked(event));
  }

  get chosen() {
    return this.#results[this.#chosen];
  }

  close() {
    clearTimeout(this.#timer);
    this.#asked++;
    this.#list.hidden = true;
    this.#results = [];
    this.#choose(-1);
    this.#input.setAttribute("aria-expanded", "false");
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#search(), TYPING_MS);
  }

  async #search() {
    const text = this.#input.value.trim();
    if (!text) return this.close();
    const mine = ++this.#asked;
    const answer = await find(text).catch((error) => ({ error }));
    if (mine !== this.#asked) return; // a later key was faster
    this.#results = answer.results ?? [];
    this.#list.replaceChildren(...this.#entries(text, answer.error));
    this.#list.hidden = false;
    this.#input.setAttribute("aria-expanded", "true");
    this.#choose(this.#results.length ? 0 : -1);
  }

  #entries(text, error) {
    if (error) return [element("p", "results-empty", error.message)];
    if (!this.#results.length) return [element("p", "results-empty", `No ticker or company matches ${text}.`)];
    const options = this.#results.map((result, index) => option(result, `${this.#list.id}-${index}`));
    return this.#hint ? [...options, element("p", "result-hint", this.#hint)] : options;
  }

  #choose(index) {
    this.#chosen = index;
    for (const [at, one] of [...this.#list.querySelectorAll("[role=option]")].entries()) {
      one.setAttribute("aria-selected", String(at === index));
    }
    if (index < 0) this.#input.removeAttribute("aria-activedescendant");
    else this.#input.setAttribute("aria-activedescendant", `${this.#list.id}-${index}`);
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.#results.length) {
      this.#choose((this.#chosen + step + this.#results.length) % this.#results.length);
      event.preventDefault();
    } else if (event.key === "Escape" && !this.#list.hidden) {
      this.close();
      event.preventDefault(); // the first Escape closes the list, the next the dialog
    } else if (event.key === "Escape" && this.#input.value) {
      this.#input.value = "";
      event.preventDefault();
    } else if (event.key === "Enter" && this.chosen) {
      event.preventDefault();
      this.#pick(this.chosen, event);
    }
  }

  #clicked(event) {
    const at = [...this.#list.querySelectorAll("[role=option]")].indexOf(event.target.closest("[role=option]"));
    if (at >= 0) this.#pick(this.#results[at], event);
  }
}

export const tickerUrl = (symbol) => `/tickers/${encodeURIComponent(symbol)}/`;

// The field of the shell: Enter opens the ticker, Shift and Enter watches it.
export function enhanceOpen(form, watchIt) {
  const pick = ({ symbol }, event) => (event.shiftKey && watchIt ? watchIt(symbol) : location.assign(tickerUrl(symbol)));
  return new Combobox(form, pick, watchIt && "Enter opens, Shift and Enter adds to the watchlist");
}
