// The order of a watchlist: grouped by source as the server sends it, or sorted by a column, and filtered.
import { live } from "./live.js";
import { ageStateOf, rankOf, sourceOf } from "./words.js";

const NUMBERS = { last: "price", change: "change", percent: "percent", volume: "volume", age: "t" };
const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

export class Arranger {
  #root;
  #sorted = { key: "", order: "none" };
  #filter = "";

  constructor(root) {
    this.#root = root;
    root().addEventListener("click", (event) => {
      const button = event.target.closest("[data-sort]");
      if (button) this.#sort(button.dataset.sort);
    });
    root().addEventListener("input", (event) => {
      if (event.target.matches("[data-filter]")) this.#narrow(event.target.value);
    });
  }

  // After new rows or a row that changed its source.
  apply() {
    const table = this.#root().querySelector("[data-table]");
    if (!table) return;
    const rows = [...table.querySelectorAll("tr[data-symbol]")];
    rows.forEach((row, index) => (row.dataset.place ??= index));
    if (this.#sorted.order === "none") this.#group(table, rows);
    else this.#flatten(table, rows);
    this.#mark(table);
    this.#narrow(this.#filter);
  }

  #sort(key) {
    const order = this.#sorted.key === key ? NEXT[this.#sorted.order] : "ascending";
    this.#sorted = { key, order };
    this.apply();
  }

  #flatten(table, rows) {
    const { key, order } = this.#sorted;
    const sign = order === "ascending" ? 1 : -1;
    const value = (row) => this.#value(row, key);
    rows.sort((a, b) => sign * compare(value(a), value(b)) || a.dataset.place - b.dataset.place);
    const [first, ...others] = table.tBodies;
    first.append(...rows);
    for (const body of others) body.hidden = true;
  }

  #value(row, key) {
    const quote = live.shown.get(row.dataset.symbol);
    if (key === "ticker") return row.dataset.symbol;
    if (key === "source") return sourceOf(quote);
    const value = quote?.[NUMBERS[key]] ?? null;
    return value === null ? null : key === "age" ? -value : Number(value);
  }

  #group(table, rows) {
    const groups = Map.groupBy(
      rows.sort((a, b) => a.dataset.place - b.dataset.place),
      (row) => row.dataset.group,
    );
    const names = [...groups.keys()].sort((a, b) => rankOf(a) - rankOf(b) || compare(a, b));
    const old = [...table.tBodies];
    table.append(...names.map((name) => bodyOf(old, name, groups.get(name))));
    for (const body of old) if (!groups.has(body.dataset.source)) body.remove();
  }

  #mark(table) {
    for (const head of table.tHead.rows[0].cells) {
      const mine = head.classList.contains(`cell-${this.#sorted.key}`) && this.#sorted.order !== "none";
      if (mine) head.setAttribute("aria-sort", this.#sorted.order);
      else head.removeAttribute("aria-sort");
    }
  }

  #narrow(text) {
    this.#filter = text;
    const words = text.trim().toLowerCase();
    const rows = [...this.#root().querySelectorAll("tr[data-symbol]")];
    for (const row of rows) {
      row.classList.toggle("is-filtered", !row.cells[0].textContent.toLowerCase().includes(words));
    }
    const none = rows.length > 0 && rows.every((row) => row.classList.contains("is-filtered"));
    const message = this.#root().querySelector("[data-no-match]");
    if (message) message.hidden = !none;
  }
}

// What is missing comes last, whatever the order of the rest.
function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  return a < b ? -1 : a > b ? 1 : 0;
}

function bodyOf(old, name, rows) {
  let body = old.find((one) => one.dataset.source === name);
  if (!body) {
    body = old[0].cloneNode(false);
    body.dataset.source = name;
    const head = old[0].querySelector(".group").cloneNode(true);
    Object.assign(head.querySelector("[data-group-age]").dataset, { groupAge: name, age: ageStateOf(name) });
    head.querySelector("[data-group-words]").textContent = sourceOf(live.shown.get(rows[0].dataset.symbol)) || "No price yet";
    body.append(head);
  }
  body.hidden = false;
  body.append(...rows);
  return body;
}
