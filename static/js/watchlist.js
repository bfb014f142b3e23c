// The watchlist page: live rows; add, remove and undo without leaving it.
import { enhanceAdd } from "./addform.js";
import { unwatch, watch } from "./api.js";
import { Arranger } from "./arrange.js";
import { Board, refreshSparks } from "./board.js";
import { live } from "./live.js";

import { complain, toast } from "./toast.js";

const SPARKS_EVERY_MS = 60_000;
const PAST_ARRIVES_MS = 4_000; // of a ticker that nobody has opened before
const root = () => document.querySelector("[data-watchlist]");
const payloadOf = (page) => JSON.parse(page.querySelector("#payload")?.textContent ?? '{"now":0,"quotes":[]}');

const board = new Board(root());
const arranger = new Arranger(() => root());
const dialog = document.querySelector("[data-add-dialog]");
const forms = new Map();

// The page itself, asked for again: the server prints what the list now is.
async function refresh() {
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const payload = payloadOf(page);
  const filter = root().querySelector("[data-filter]")?.value ?? "";
  root().replaceChildren(...page.querySelector("[data-watchlist]").childNodes);
  live.follow(payload.now ? payload : { now: Date.now(), quotes: [] });
  board.replace(root());
  arranger.apply();
  const field = root().querySelector("[data-filter]");
  if (field) field.value = filter;
  for (const name of ["in-use", "room"]) {
    const fresh = page.querySelector(`[data-${name}]`);
    for (const old of document.querySelectorAll(`[data-${name}]`)) old.replaceWith(fresh.cloneNode(true));
  }
  document.dispatchEvent(new Event("pagechange"));
  setTimeout(() => refreshSparks(root), PAST_ARRIVES_MS);
}

async function remove(form) {
  const row = form.closest("tr");
  const symbol = row.dataset.symbol;
  const next = row.nextElementSibling?.querySelector("a") ?? row.previousElementSibling?.querySelector("a");
  row.hidden = true;
  try {
    await unwatch(symbol);
    toast(`${symbol} removed`, () => add(symbol));
  } catch (error) {
    complain(`${symbol} not removed: ${error.message}`);
  }
  await refresh();
  const focus = next && root().querySelector(`a[href="${next.getAttribute("href")}"]`);
  (focus ?? document.querySelector("#content")).focus();
}

async function add(symbol) {
  try {
    await watch([symbol]);
  } catch (error) {
    complain(error.message);
  }
  await refresh();
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-remove]")) return;
  event.preventDefault();
  remove(event.target);
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-retry]")) live.retryNow();
  if (event.target.closest("[data-close]") || event.target === dialog) dialog.close();
  if (!event.target.closest("[data-add]")) return;
  event.preventDefault();
  const inPage = root().querySelector(".add-panel .input");
  if (inPage) return inPage.focus();
  dialog.showModal();
  dialog.querySelector(".input").focus();
});

function enhance(form) {
  if (!form || forms.has(form)) return;
  forms.set(
    form,
    enhanceAdd(form, async (symbol) => {
      await watch([symbol]);
      dialog.close();
      await refresh();
      root().querySelector(`tr[data-symbol="${CSS.escape(symbol)}"] a`)?.focus();
    }),
  );
}

enhance(dialog.querySelector("form[data-search]"));
enhance(root().querySelector(".add-panel form"));
document.addEventListener("watchlistchange", refresh);
board.addEventListener("regroup", () => arranger.apply());
const first = payloadOf(document);
live.start(first.now ? first : { now: Date.now(), quotes: [] });
arranger.apply();
board.tick();
setInterval(() => refreshSparks(root), SPARKS_EVERY_MS);
