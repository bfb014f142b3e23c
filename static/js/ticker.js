// The page of one ticker: live quote and candles; watch and unwatch without leaving it.
import { unwatch, watch } from "./api.js";
import { paint, paintAge, paintBadge } from "./cells.js";
import { decimalsFor, price } from "./format.js";
import { live } from "./live.js";
import { PriceChart } from "./pricechart.js";
import { paintStrip } from "./strip.js";
import { complain, toast } from "./toast.js";
import { tableAge } from "./words.js";

const FIRST_RANGE = "3M";
const page = document.querySelector("[data-ticker]");
const { symbol } = page.dataset;
const quote = () => live.shown.get(symbol);
const chartCard = page.querySelector("[data-chart-card]"); // of the overview alone
const chart = chartCard && new PriceChart(chartCard, symbol);
let chartDay = null;

function write(name, text) {
  const element = page.querySelector(`[data-f="${name}"]`);
  if (element && element.textContent !== text) element.textContent = text;
}

function paintQuote() {
  const shown = quote();
  if (!shown?.price) return;
  const decimals = decimalsFor([shown.price]);
  paint(page, shown, decimals);
  for (const name of ["open", "high", "low", "bid", "ask"]) write(name, price(shown[name], decimals));
  write("previous", price(shown.previousClose, decimals));
  if (!chart) return;
  if (shown.replayDate === chartDay) chart.move(shown);
  else drawChart();
}

// Also when a replayed day has ended: the bars before it are one more.
function drawChart(range = page.querySelector("[data-range][aria-pressed=true]")?.dataset.range) {
  chartDay = quote()?.replayDate;
  chart.show(range ?? FIRST_RANGE, quote());
}

function tick() {
  if (quote()) paintAge(page, quote());
  paintBadge(page.querySelector("[data-age]"), tableAge([quote()]));
  paintStrip(page.querySelector("[data-strip]"), [quote()]);
}

// --- watch and unwatch

const forms = { watch: page.querySelector("[data-watch]"), unwatch: page.querySelector("[data-unwatch]") };

function showWatching(watching) {
  forms.watch.hidden = watching;
  forms.unwatch.hidden = !watching;
  forms[watching ? "unwatch" : "watch"].querySelector("button").focus();
}

async function act(watching) {
  try {
    await (watching ? watch([symbol]) : unwatch(symbol));
    showWatching(watching);
    live.askAgain([symbol]);
    document.dispatchEvent(new Event("watchlistchange"));
    if (!watching) toast(`${symbol} removed from your watchlist`, () => act(true));
  } catch (error) {
    complain(error.message);
  }
}

page.addEventListener("submit", (event) => {
  const watching = event.target.matches("[data-watch]");
  if (!watching && !event.target.matches("[data-unwatch]")) return;
  event.preventDefault();
  act(watching);
});

page.addEventListener("click", (event) => event.target.closest("[data-retry]") && live.retryNow());
live.addEventListener("prices", () => {
  paintQuote();
  tick();
});
live.addEventListener("status", tick);
// What came while the connection was away belongs into the bars.
live.addEventListener("missed", ({ detail }) => {
  for (const one of detail) if (one.symbol === symbol && one.replayDate === chartDay) chart?.move(one);
});
setInterval(() => document.hidden || tick(), 1000);
live.start(JSON.parse(document.querySelector("#payload").textContent));
if (chart) drawChart(FIRST_RANGE);
tick();
