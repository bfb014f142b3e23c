// What bars say in words: the fixed row above the plot, the table, and the sentence below it.
import { RANGES } from "./bars.js";
import { clockTime, day, direction, percent, price, volume } from "./format.js";

export const FACTS = ["open", "high", "low", "close"];

export const timeText = (time) => (typeof time === "number" ? clockTime(time * 1000) : day(time));

export function texts(bar, decimals) {
  return [...FACTS.map((name) => price(String(bar[name]), decimals)), volume(bar.volume)];
}

export function tableRow(bar, decimals) {
  const row = document.createElement("tr");
  const cells = [timeText(bar.time), ...texts(bar, decimals)];
  row.append(...cells.map((textContent) => Object.assign(document.createElement("td"), { textContent })));
  return row;
}

export function summary(symbol, bars, range, decimals) {
  const [first, last] = [bars[0].open, bars.at(-1).close];
  const change = (((last - first) / first) * 100).toFixed(4);
  const move = { up: "rose", down: "fell", flat: "is unchanged" }[direction(change)];
  const by = move === "is unchanged" ? "" : ` ${percent(change.replace("-", "")).replace("+", "")}`;
  const [from, to] = [first, last].map((value) => price(String(value), decimals));
  return `${symbol} ${move}${by} ${RANGES[range].words}, from ${from} to ${to}. Hollow: close above open.`;
}

// What marks a day in the chart: 4:1 for a split, D for a dividend. Only days that are shown, oldest first.
export function marksOf(actions, bars) {
  const shown = new Set(bars.map(({ time }) => time));
  const marked = actions.filter(({ kind, ex_date: day }) => kind !== "rename" && shown.has(day));
  return marked.reverse().map(({ kind, ex_date: time, split_from: from, split_to: to }) => ({
    time,
    kind,
    text: kind === "split" ? `${to}:${from}` : "D",
  }));
}
