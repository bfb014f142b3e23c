// What a row and a table say about themselves; the twin of dashboard/rows.py.
import { now } from "./clock.js";
import { age, clockTime, day } from "./format.js";
import { live } from "./live.js";
import { phaseNow } from "./phases.js";
import { stateOf } from "./quote.js";

const SOURCES = { replay: "Replay", simulator: "Simulated" };
const RANKS = { replay: 1, simulator: 2, none: 3 };
const REASONS = {
  not_found: "Not found",
  rate_limited: "Rate-limited",
  plan_locked: "Not in our data plan",
  provider_down: "Provider down",
  no_data_yet: "No price yet",
};

export const groupOf = (quote) => (quote?.price ? quote.provider : "none");
export const rankOf = (group) => RANKS[group] ?? 0;

export const ageStateOf = (group) => ({ replay: "replay", simulator: "simulated", none: "none" })[group] ?? "live";

export function sourceOf(quote) {
  if (!quote?.price) return "";
  const spaced = quote.provider.replaceAll("_", " ");
  return SOURCES[quote.provider] ?? spaced[0].toUpperCase() + spaced.slice(1);
}

export const ageText = (quote) => (quote?.price ? age(now() - quote.t) : "");

// What stands in place of source and age where the row differs from its table.
export function badgeOf(quote, askedAt) {
  const state = stateOf(quote);
  if (state === "stale") return `Stale ${ageText(quote)}`;
  if (state === "halted") return `Halted ${clockTime(quote.t)}`;
  if (state === "ok") return "";
  const reason = quote?.reason ?? "no_data_yet";
  if (reason !== "no_data_yet") return REASONS[reason] ?? "No price";
  return `No price yet, asked ${age(now() - askedAt)} ago`;
}

// The age of a table: { state, words, newest, notes }.
export function tableAge(quotes) {
  const priced = quotes.filter((quote) => quote?.price);
  if (live.offlineSince) return { state: "offline", words: `Offline since ${clockTime(live.offlineSince)}` };
  if (live.pausedSince) return { state: "paused", words: `Paused since ${clockTime(live.pausedSince)}` };
  if (!priced.length) return { state: "none", words: "No price yet" };
  const newest = age(now() - Math.max(...priced.map((quote) => quote.t)));
  const fresh = priced.filter((quote) => !quote.stale);
  if (!fresh.length) return { state: "stale", words: `Stale ${newest}`, notes: staleBecause(priced) };
  const main = fresh.toSorted((a, b) => rankOf(a.provider) - rankOf(b.provider))[0];
  const { note, ...kind } = kindOf(main, priced);
  return { ...kind, newest, notes: [...(note ? [note] : []), ...exceptions(quotes, main.provider)].join(", ") };
}

function kindOf(quote, quotes) {
  if (quote.replayDate) return { state: "replay", words: `Replay of ${day(usualDay(quotes))}` };
  if (quote.provider === "simulator") return { state: "simulated", words: "Simulated" };
  const phase = quote.market === "new_york" ? phaseNow() : null;
  if (phase?.words) return { state: phase.state, words: phase.words, note: phase.note };
  if (quote.session === "closed" && !phase) return { state: "closed", words: `Closed since ${clockTime(quote.t)}` };
  if (quote.delayed_s) return { state: "delayed", words: `Delayed ${Math.floor(quote.delayed_s / 60)} min` };
  return { state: "live", words: "Live" };
}

function usualDay(quotes) {
  const counts = new Map();
  for (const { replayDate } of quotes) if (replayDate) counts.set(replayDate, (counts.get(replayDate) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? 1 : -1))[0][0];
}

function exceptions(quotes, main) {
  const count = (test) => quotes.filter(test).length;
  const simulated = main === "simulator" ? 0 : count((quote) => groupOf(quote) === "simulator");
  const parts = [
    [simulated, "simulated"],
    [count((quote) => stateOf(quote) === "stale"), "stale"],
    [count((quote) => stateOf(quote) === "none"), "without a price"],
  ];
  return parts.filter(([number]) => number).map(([number, words]) => `${number} of ${quotes.length} ${words}`);
}

function staleBecause(quotes) {
  const reason = quotes.find((quote) => quote.reason)?.reason;
  return reason ? (REASONS[reason] ?? reason).toLowerCase() : "";
}
