// The one strip above the content: the worst of what is wrong with the prices, in words.
import { now } from "./clock.js";
import { age, clockTime } from "./format.js";
import { live } from "./live.js";

const WHY = {
  provider_down: "the feed is silent",
  rate_limited: "the provider asked us to slow down",
  plan_locked: "our data plan does not include them",
};

export function paintStrip(strip, quotes) {
  const said = closed() ?? offline() ?? refused() ?? stale(quotes);
  strip.hidden = !said;
  if (!said) return;
  write(strip, "[data-strip-title]", said.title);
  write(strip, "[data-strip-text]", said.text);
  strip.querySelector("[data-retry]").hidden = !said.retry;
  strip.querySelector("[data-log-in]").hidden = !said.logIn;
}

// A status region is read out again whenever its text is set.
function write(strip, selector, text) {
  const element = strip.querySelector(selector);
  if (element.textContent !== text) element.textContent = text;
}

const CLOSED = {
  4001: { title: "You are logged out", text: "These prices stand still. Log in to go on.", logIn: true },
  4003: {
    title: "Too many connections are open",
    text: "Your plan allows no more live pages at the same time. Close one of them; this page tries again every minute.",
    retry: true,
  },
};

const closed = () => CLOSED[live.closed];

function offline() {
  if (!live.offlineSince) return null;
  return {
    title: `Offline since ${clockTime(live.offlineSince)}`,
    text: `This is the snapshot of ${clockTime(live.offlineSince, true)}. It goes live again by itself as soon as the server answers.`,
    retry: true,
  };
}

function refused() {
  if (!live.refused) return null;
  const named = live.refused.symbols?.join(", ");
  return { title: named ? `Not live: ${named}` : "Not live", text: live.refused.message };
}

// The age goes in steps here, so that a screen reader is not told each second.
function stale(quotes) {
  const old = quotes.filter((quote) => quote?.price && quote.stale);
  if (!old.length) return null;
  const all = old.length === quotes.length;
  const newest = Math.max(...old.map((quote) => quote.t));
  const span = now() - newest;
  const step = span < 60_000 ? 10_000 : 60_000;
  const shown = span < step ? "Prices have stopped" : `Prices are more than ${age(Math.floor(span / step) * step)} old`;
  const why = WHY[old[0].reason] ?? WHY.provider_down;
  return {
    title: all ? `${shown}: ${why}` : `${old.length} of ${quotes.length} prices are stale: ${why}`,
    text: "The last known prices stay visible, marked. They go live again by themselves.",
  };
}
