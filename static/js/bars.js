// Bars of one ticker from our API, as plain numbers for the chart, and the ranges a reader can choose.
import { call } from "./api.js";
import { now } from "./clock.js";

const DAY_MS = 86_400_000;
export const RANGES = {
  "1D": { interval: "1min", days: 1, words: "in a day" },
  "1W": { interval: "1day", days: 7, words: "in a week" },
  "1M": { interval: "1day", days: 31, words: "in a month" },
  "3M": { interval: "1day", days: 92, words: "in three months" },
  "1Y": { interval: "1day", days: 366, words: "in a year" },
  "5Y": { interval: "1day", days: 1827, words: "in five years" },
};

// The day this quote belongs to: the replayed one, or today.
export const dayOf = (quote) => quote?.replayDate ?? new Date(now()).toISOString().slice(0, 10);

const isDaily = (range) => RANGES[range].interval === "1day";

// Oldest first. Of days, the current one is left out: it is still moving and comes from the quote.
export async function fetchBars(symbol, range, quote) {
  const { interval, days } = RANGES[range];
  const newest = Date.parse(dayOf(quote));
  const start = isDaily(range) ? newest - days * DAY_MS : now() - days * DAY_MS;
  const query = new URLSearchParams({ interval });
  // Where today is replayed, our API knows when it began: without a start it leaves the replayed day before out.
  if (isDaily(range) || !quote?.replayDate) query.set("start", new Date(start).toISOString());
  if (isDaily(range)) query.set("end", new Date(newest - DAY_MS).toISOString().slice(0, 10));
  const bars = [];
  let next = `/api/v1/tickers/${encodeURIComponent(symbol)}/bars/?${query}`;
  while (next) {
    const answer = await call(next);
    bars.push(...answer.results.map((bar) => barOf(bar, isDaily(range))));
    next = answer.next && new URL(answer.next).pathname + new URL(answer.next).search;
  }
  return bars;
}

// Dividends and splits, the newest first. A chart without them is still a chart.
export async function fetchActions(symbol) {
  const answer = await call(`/api/v1/tickers/${encodeURIComponent(symbol)}/actions/?limit=500`).catch(() => null);
  return answer?.results ?? [];
}

function barOf({ t, o, h, l, c, v }, daily) {
  const time = daily ? t.slice(0, 10) : Date.parse(t) / 1000;
  return { time, open: Number(o), high: Number(h), low: Number(l), close: Number(c), volume: v };
}

// What a new quote makes of the last bar: the same one moved on, or a new one behind it.
// `traded` is what was added to the day's volume since the quote before.
export function barWith(last, quote, range, traded = 0) {
  const close = Number(quote.price);
  const bar = isDaily(range) ? dayBar(quote, close) : minuteBar(last, quote, close, traded);
  return last && last.time > bar.time ? last : bar;
}

function minuteBar(last, quote, close, traded) {
  const time = Math.floor(quote.t / 60_000) * 60;
  if (last?.time !== time) {
    const open = last?.close ?? close;
    return { time, open, high: Math.max(open, close), low: Math.min(open, close), close, volume: traded };
  }
  const { open, high, low } = last;
  return { time, open, high: Math.max(high, close), low: Math.min(low, close), close, volume: last.volume + traded };
}

function dayBar(quote, close) {
  const open = Number(quote.open ?? close);
  const high = Math.max(Number(quote.high ?? close), open, close);
  const low = Math.min(Number(quote.low ?? close), open, close);
  return { time: dayOf(quote), open, high, low, close, volume: quote.volume ?? 0 };
}

// With this bar at the end, in place of one of the same time.
export const joined = (bars, bar) => (bars.at(-1)?.time === bar.time ? [...bars.slice(0, -1), bar] : [...bars, bar]);
