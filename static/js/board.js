// A live table: rows, group heads, the age badge and the strip follow what `live` knows.
import { commonDecimals, paint, paintAge, paintBadge } from "./cells.js";
import { live } from "./live.js";
import { paintStrip } from "./strip.js";
import { ageStateOf, ageText, tableAge } from "./words.js";

export const rowsOf = (root) => [...root.querySelectorAll("tr[data-symbol]")];

export class Board extends EventTarget {
  #root;
  #decimals = 0;

  // `root` holds the table and may be replaced by newer HTML with `replace`.
  constructor(root) {
    super();
    this.#root = root;
    live.addEventListener("prices", (event) => this.#paint(event.detail));
    live.addEventListener("status", () => this.tick());
    setInterval(() => document.hidden || this.tick(), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || this.tick());
  }

  replace(root) {
    this.#root = root;
    this.#paint([...live.shown.keys()]);
  }

  // Once a second: ages count up in place, and what the page says about itself stays true.
  tick() {
    const quotes = rowsOf(this.#root).map((row) => [row, live.shown.get(row.dataset.symbol)]);
    for (const [row, quote] of quotes) if (quote) paintAge(row, quote);
    const all = quotes.map(([, quote]) => quote);
    const badge = this.#root.querySelector("[data-age]");
    if (badge) paintBadge(badge, tableAge(all));
    for (const head of this.#root.querySelectorAll("[data-group-age]")) this.#ageOfGroup(head);
    const strip = this.#root.querySelector("[data-strip]");
    if (strip) paintStrip(strip, all);
  }

  #ageOfGroup(head) {
    const symbols = [...head.closest("tbody").querySelectorAll("tr[data-symbol]")].map((row) => row.dataset.symbol);
    const quotes = symbols.map((symbol) => live.shown.get(symbol)).filter((quote) => quote?.price);
    const newest = quotes.toSorted((a, b) => b.t - a.t)[0];
    head.dataset.age = newest && quotes.every((quote) => quote.stale) ? "stale" : ageStateOf(head.dataset.groupAge);
    head.querySelector("[data-group-detail]").textContent = ageText(newest);
  }

  #paint(symbols) {
    const rows = rowsOf(this.#root);
    const decimals = commonDecimals(rows.map((row) => live.shown.get(row.dataset.symbol)));
    const wanted = decimals === this.#decimals ? new Set(symbols) : null;
    this.#decimals = decimals;
    let moved = false;
    for (const row of rows) {
      const quote = live.shown.get(row.dataset.symbol);
      if (!quote || (wanted && !wanted.has(row.dataset.symbol))) continue;
      const group = row.dataset.group;
      paint(row, quote, decimals);
      moved ||= group !== row.dataset.group;
    }
    if (moved) this.dispatchEvent(new Event("regroup"));
    this.tick();
  }
}

// The server draws the spark lines; each minute a new one takes the place of the old.
export function refreshSparks(root) {
  for (const row of rowsOf(root())) if (!document.hidden) refreshSpark(row);
}

async function refreshSpark(row) {
  const answer = await fetch(`/charts/${encodeURIComponent(row.dataset.symbol)}.svg`).catch(() => null);
  if (!answer?.ok) return;
  const drawn = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
  if (drawn.nodeName === "svg") row.querySelector('[data-f="spark"]').replaceChildren(document.importNode(drawn, true));
}
