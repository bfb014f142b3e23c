// The form of an alert: its back-test answers 300 ms after the last change, greyed until then; help follows the
// condition, and the distance from the price is said beside the level. Without a script a button asks for the same.
import { signed, THIN } from "./format.js";
import { Combobox } from "./search.js";

const PAUSE_MS = 300;
const form = document.querySelector("[data-alert-form]");
const field = (name) => form.elements.namedItem(name);
const helps = JSON.parse(form.querySelector("#kind-help").textContent);
const chosenMode = () => form.querySelector("[name=mode]:checked");
let timer = 0;
let asked = 0;
let asking = null;

const beside = () => document.querySelector("[data-backtest]");

async function ask() {
  const mine = ++asked;
  asking?.abort();
  asking = new AbortController();
  const body = new FormData(form);
  body.append("fragment", "1");
  const given = { method: "POST", body, signal: asking.signal };
  const text = await fetch(form.dataset.try, given).then((answer) => (answer.ok ? answer.text() : null)).catch(() => null);
  if (mine !== asked || text === null) return;
  const page = new DOMParser().parseFromString(text, "text/html");
  beside().replaceWith(page.querySelector("[data-backtest]"));
  for (const name of ["ticker-line", "sent-to"]) {
    form.querySelector(`[data-${name}]`).replaceWith(page.querySelector(`[data-${name}]`));
  }
  sayDistance();
  // For those who do not see it change; a region that is replaced would not be read out.
  document.querySelector("[data-backtest-said]").textContent = beside().querySelector("[data-summary]")?.textContent ?? "";
}

function soon() {
  beside().classList.add("is-old");
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
}

// "2.60 % below the last price", or what a percentage comes to.
function sayDistance() {
  const price = Number(form.querySelector("[data-ticker-line]").dataset.price);
  const level = Number(field("level").value.trim() || NaN);
  const says = form.querySelector("[data-away]");
  says.textContent = "";
  const isPercent = field("unit").value === "percent";
  const at = isPercent ? price * (1 + level / 100) : level;
  if (!price || !(at > 0) || !Number.isFinite(at)) return; // no price is there
  if (isPercent) {
    says.textContent = `${at.toFixed(price < 1 ? 4 : 2)}${THIN}USD at the last price`;
    return;
  }
  const percent = signed(String(((level / price - 1) * 100).toFixed(6))).replace(/^[+\u2212]/, "");
  if (level === price) says.textContent = "The last price itself";
  else says.textContent = `${percent}${THIN}% ${level > price ? "above" : "below"} the last price`;
}

function follow() {
  form.querySelector("[data-kind-help]").textContent = helps[field("kind").value] ?? "";
  sayDistance();
}

function repeat() {
  if (chosenMode()?.value === "once") form.querySelector("[name=mode][value=repeat]").checked = true;
}

form.addEventListener("input", (event) => {
  follow();
  if (!["note", "category"].includes(event.target.name)) soon();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-use-band]");
  if (!button) return;
  event.preventDefault();
  field("rearm_band").value = button.value;
  repeat();
  soon();
  field("rearm_band").focus();
});

// The price of another ticker is another level: the old one would mean nothing.
const symbolField = form.querySelector("[data-symbol-field]");
if (symbolField) {
  const box = new Combobox(symbolField, ({ symbol }) => {
    field("symbol").value = symbol;
    box.close();
    field("level").value = "";
    follow();
    soon();
  });
}

let isSent = false;
form.addEventListener("submit", (event) => {
  if (isSent) event.preventDefault(); // a second click makes no second alert
  isSent = !event.submitter?.formAction?.endsWith(form.dataset.try);
});
addEventListener("pageshow", () => (isSent = false));

follow();
