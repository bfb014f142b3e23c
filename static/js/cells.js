// Paints quotes into the elements that show them. An element with data-f names the fact it shows.
import { now } from "./clock.js";
import { decimalsFor, direction, percent, price, signed, volume } from "./format.js";
import { live } from "./live.js";
import { stateOf } from "./quote.js";
import { ageText, badgeOf, groupOf, sourceOf } from "./words.js";

const TINT_MS = 400;
const TINT_EVERY_MS = 334; // at most 3 per second per cell
const still = matchMedia("(prefers-reduced-motion: reduce)");
const tinted = new WeakMap();

const fact = (root, name) => root.querySelector(`[data-f="${name}"]`);

function write(root, name, text) {
  const element = fact(root, name);
  if (!element || element.textContent === text) return false;
  element.textContent = text;
  return true;
}

// The prices of a table are written with the same decimals.
export const commonDecimals = (quotes) => decimalsFor(quotes.map((quote) => quote?.price));

export function paint(root, quote, decimals) {
  const before = Number(root.dataset.price ?? Number.NaN);
  const changed = write(root, "price", price(quote.price, decimals));
  root.dataset.price = quote.price ?? "";
  root.dataset.dir = direction(quote.change, decimals);
  root.dataset.group = groupOf(quote);
  write(root, "change", signed(quote.change, decimals));
  write(root, "percent", percent(quote.percent));
  if (write(root, "volume", volume(quote.volume))) fact(root, "volume").title = quote.volume ?? "";
  const spark = root.querySelector(".spark");
  if (spark) spark.setAttribute("class", `spark spark-${root.dataset.dir}`);
  paintAge(root, quote);
  if (changed && before) tint(fact(root, "price"), Number(quote.price) > before);
}

// Also once a second: what counts up, and what turns stale.
export function paintAge(root, quote) {
  const badge = badgeOf(quote, Number(root.dataset.asked || (root.dataset.asked = now())));
  const state = stateOf(quote);
  root.dataset.state = live.offlineSince && state !== "none" ? "offline" : state;
  root.toggleAttribute("data-words", Boolean(badge));
  write(root, "badge", badge);
  write(root, "state", badge);
  fact(root, "badge")?.classList.toggle("badge-warn", state !== "none");
  write(root, "source", badge ? "" : sourceOf(quote));
  write(root, "age", badge ? "" : ageText(quote));
}

function tint(element, up) {
  if (still.matches || document.hidden) return;
  const last = tinted.get(element) ?? 0;
  const moment = performance.now();
  if (moment - last < TINT_EVERY_MS) return;
  tinted.set(element, moment);
  const soft = `var(--${up ? "gain" : "loss"}-soft)`;
  element.animate([{ backgroundColor: soft }, { backgroundColor: "transparent" }], {
    duration: TINT_MS,
    easing: "ease-out",
  });
}

// The badge of a table or page.
export function paintBadge(element, { state, words, newest = "", notes = "" }) {
  element.dataset.age = state;
  element.querySelector("[data-age-words]").textContent = words;
  element.querySelector("[data-age-detail]").hidden = !newest;
  element.querySelector("[data-age-newest]").textContent = newest;
  element.querySelector("[data-age-notes]").textContent = notes;
}
