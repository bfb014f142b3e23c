// The short form of the ticker's page: two clicks to an alert. The first one brings the price as it is now into the
// field, the second one creates. Without a script the form does the same by itself.
import { send, tell } from "./alerts.js";
import { decimalsFor } from "./format.js";
import { live } from "./live.js";

const page = document.querySelector("[data-ticker]");
const card = () => document.querySelector("[data-ticker-alerts]");

function open(event) {
  event.preventDefault();
  const level = card().querySelector("[name=level]");
  const price = live.shown.get(page.dataset.symbol)?.price;
  if (price && !level.dataset.typed) level.value = Number(price).toFixed(decimalsFor([price]));
  card().scrollIntoView({ block: "nearest" });
  level.focus();
  level.select();
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
  if (event.target.form?.matches("[data-quick-alert]") && event.target.name === "level") event.target.dataset.typed = "1";
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-quick-alert]")) return;
  event.preventDefault();
  create(event.target, event.submitter);
});
