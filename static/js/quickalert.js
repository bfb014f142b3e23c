// The short form of the ticker's page: two clicks to an alert. The first one brings the price as it is now into the
// field, the second one creates. Without a script the form does the same by itself.
import { send, tell } from "./alerts.js";
import { decimalsFor } from "./format.js";
import { keepFresh } from "./keepfresh.js";
import { live } from "./live.js";

const page = document.querySelector("[data-ticker]");
const card = () => document.querySelector("[data-ticker-alerts]");

function open(event) {
  event.preventDefault();
  const level = card().querySelector("[name=level]");
  const price = live.shown.get(page.dataset.symbol)?.price;
  if (price && !level.dataset.typed) level.value = Number(price).toFixed(decimalsFor([price]));
  carry(level.form);
  card().scrollIntoView({ block: "nearest" });
  level.focus();
  level.select();
}

// The long form goes on with what is chosen here.
function carry(form) {
  const more = form.querySelector("[data-more]");
  const address = new URL(more.href);
  for (const name of ["kind", "level"]) address.searchParams.set(name, form.elements.namedItem(name).value.trim());
  more.href = address;
}

async function create(form, button) {
  button.disabled = true;
  const answer = await send(form, button);
  button.disabled = false;
  if (!answer) return;
  const fresh = answer.querySelector("[data-ticker-alerts]");
  if (!fresh) return refuse(form, answer.querySelector(".error span, .form-strip p")?.textContent);
  tell(answer);
  card().replaceWith(fresh);
  document.dispatchEvent(new Event("alertschange"));
  const [count, now] = [document, answer].map((one) => one.querySelector("[data-alert-count]"));
  if (count && now) count.replaceWith(now);
  document.querySelector("[data-quick-open]")?.focus();
}

// The answer is the long form with its errors; the first of them stands here.
function refuse(form, words) {
  const error = form.querySelector("[data-quick-error]");
  error.querySelector("span").textContent = words ?? "That did not work. Try it with all options.";
  error.hidden = false;
  form.querySelector("[name=level]").focus();
}

document.addEventListener("click", (event) => event.target.closest("[data-quick-open]") && open(event));
document.addEventListener("input", (event) => {
  if (!event.target.form?.matches("[data-quick-alert]")) return;
  if (event.target.name === "level") event.target.dataset.typed = "1";
  carry(event.target.form);
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-quick-alert]")) return;
  event.preventDefault();
  create(event.target, event.submitter);
});

// The lines of the chart are drawn again only where they are others.
let lines = "";
const linesNow = () => card()?.querySelector("#alert-levels").textContent ?? "";
function redraw() {
  if (linesNow() === lines) return;
  lines = linesNow();
  document.dispatchEvent(new Event("alertschange"));
}
if (card()) {
  lines = linesNow();
  document.addEventListener("alertschange", () => (lines = linesNow()));
  keepFresh(["[data-ticker-alerts]", "[data-alert-count]"], { renewed: redraw });
}
