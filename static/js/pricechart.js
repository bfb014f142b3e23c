// The chart card of a ticker: ranges, live candles, values in a fixed row, table view, one sentence of summary.
import { barWith, fetchActions, fetchBars, joined } from "./bars.js";
import { FACTS, marksOf, summary, tableRow, texts, timeText } from "./barwords.js";
import { Candles, isoOf } from "./chart.js";
import { decimalsFor } from "./format.js";

const TABLE_ROWS = 260;
// The past of a ticker that nobody has opened before is on its way.
const TRIES = 5;
const TRY_AGAIN_MS = 3000;

export class PriceChart {
  #card;
  #symbol;
  #candles = null;
  #bars = [];
  #chosen = "";
  #range = ""; // of the bars that are shown; differs from the chosen one until its bars have come
  #quote = null;
  #hovered = null;
  #tries = 0;
  #actions;

  constructor(card, symbol) {
    this.#card = card;
    this.#symbol = symbol;
    card.addEventListener("click", (event) => {
      const button = event.target.closest("[data-range], [data-as-table]");
      if (button?.dataset.range) this.show(button.dataset.range, this.#quote);
      else if (button) this.#toggleTable(button);
    });
    document.addEventListener("themechange", () => this.#candles?.dress());
    document.addEventListener("alertschange", () => this.#drawLevels());
  }

  async show(range, quote) {
    this.#chosen = range;
    this.#quote = quote;
    for (const button of this.#card.querySelectorAll("[data-range]")) {
      button.setAttribute("aria-pressed", String(button.dataset.range === range));
    }
    const found = await fetchBars(this.#symbol, range, quote).catch((error) => error);
    if (range !== this.#chosen) return; // another one was chosen meanwhile
    this.#range = range;
    this.#bars = found instanceof Error ? [] : found;
    if (this.#quote?.price) this.#bars = joined(this.#bars, barWith(this.#bars.at(-1), this.#quote, range));
    this.#draw(found instanceof Error ? found.message : "No bars yet: they appear as prices arrive.");
    if (found.length === 0 && this.#tries++ < TRIES) {
      setTimeout(() => range === this.#chosen && this.show(range, this.#quote), TRY_AGAIN_MS);
    }
  }

  move(quote) {
    const traded = Math.max(Number(quote.volume ?? 0) - Number(this.#quote?.volume ?? quote.volume ?? 0), 0);
    this.#quote = quote;
    if (!this.#candles || !quote.price) return;
    const bar = barWith(this.#bars.at(-1), quote, this.#range, traded);
    this.#bars = joined(this.#bars, bar);
    this.#candles.move(bar);
    this.#paint();
  }

  get #decimals() {
    return decimalsFor([this.#quote?.price ?? this.#bars.at(-1)?.close]);
  }

  #find(selector) {
    return this.#card.querySelector(selector);
  }

  #draw(whenEmpty) {
    this.#candles ??= new Candles(this.#find("[data-chart]"), {
      decimals: this.#decimals,
      onHover: (time) => this.#hover(time),
    });
    this.#candles.show(this.#bars);
    this.#mark();
    this.#drawLevels();
    this.#find("[data-chart-note]").textContent = whenEmpty;
    this.#paint();
    this.#paintTable();
  }

  async #mark() {
    this.#actions ??= fetchActions(this.#symbol);
    this.#candles.mark(marksOf(await this.#actions, this.#bars));
  }

  #drawLevels() {
    const levels = document.querySelector("#alert-levels");
    if (levels) this.#candles?.draw(JSON.parse(levels.textContent));
  }

  #hover(time) {
    this.#hovered = time === null || typeof time === "number" ? time : isoOf(time);
    this.#paint();
  }

  #paint() {
    this.#find("[data-chart-note]").hidden = this.#bars.length > 0;
    const bar = this.#bars.find(({ time }) => time === this.#hovered) ?? this.#bars.at(-1);
    if (!bar) return;
    const shown = texts(bar, this.#decimals);
    this.#find("[data-bar-time]").textContent = timeText(bar.time);
    [...FACTS, "volume"].forEach((name, at) => (this.#find(`[data-bar="${name}"]`).textContent = shown[at]));
    this.#find("[data-summary]").textContent = summary(this.#symbol, this.#bars, this.#range, this.#decimals);
  }

  #paintTable() {
    const newestFirst = this.#bars.slice(-TABLE_ROWS).reverse();
    this.#find("[data-bars] tbody").replaceChildren(...newestFirst.map((bar) => tableRow(bar, this.#decimals)));
  }

  #toggleTable(button) {
    const asTable = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(asTable));
    this.#find("[data-bars]").classList.toggle("is-shown", asTable);
    this.#find("[data-plot]").hidden = asTable;
    if (asTable) this.#paintTable();
  }
}
