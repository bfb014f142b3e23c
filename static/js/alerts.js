// The list of alerts: marking several, and acts that answer without leaving the page and can be undone for 10 s.
// Every act is a form that works without a script; here its answer, the page again, is taken apart.
import { keepFresh } from "./keepfresh.js";
import { complain, toast } from "./toast.js";

const LOGIN = "/account/login/";
const root = () => document.querySelector("[data-alerts]");
const marks = () => [...document.querySelectorAll("[name=ids][form=bulk]")];

// The page that answers; nothing where it could not be done, which is said.
export async function send(form, button) {
  const body = new FormData(form, button);
  const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
  if (answer?.redirected && new URL(answer.url).pathname === LOGIN) return location.assign(answer.url);
  const page = answer && new DOMParser().parseFromString(await answer.text(), "text/html");
  if (page && (answer.ok || page.querySelector("[data-said], [data-alert-form]"))) return page;
  complain("Nothing was changed: the server did not answer as it should. Try again in a moment.");
  return null;
}

// What the page says of the act: in a toast, with its undo.
export function tell(page) {
  for (const said of page.querySelectorAll("[data-said]")) {
    const words = said.querySelector(".strip-title").textContent;
    const undo = said.querySelector("[data-undo-form]");
    if (said.dataset.said === "error") complain(words);
    else toast(words, undo && (() => act(undo)));
  }
}

function show(page) {
  const fresh = page?.querySelector("[data-alerts]");
  if (!fresh || !root()) return;
  root().replaceChildren(...fresh.childNodes);
  for (const name of ["alert-limit", "alert-count"]) {
    const [old, made] = [document, page].map((one) => one.querySelector(`[data-${name}]`));
    if (old && made) old.replaceWith(made);
  }
  mark();
  document.dispatchEvent(new Event("pagechange"));
}

async function act(form, button) {
  const undone = form.matches("[data-undo-form]");
  if (undone) form.querySelector("[name=next]").value = location.pathname + location.search;
  const page = await send(form, button);
  if (!page) return;
  tell(page);
  show(page);
  document.querySelector("#content").focus();
}

function mark() {
  const all = document.querySelector("[data-all]");
  if (!all) return;
  const chosen = marks().filter((one) => one.checked).length;
  all.checked = chosen > 0 && chosen === marks().length;
  all.indeterminate = chosen > 0 && !all.checked;
  document.querySelector("[data-chosen]").textContent = chosen ? `${chosen} marked` : "All";
  for (const button of document.querySelectorAll("[data-bulk] button")) button.disabled = !chosen;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) for (const one of marks()) one.checked = event.target.checked;
  if (event.target.matches("[data-all], [name=ids]")) mark();
  if (event.target.matches("[data-by-ticker] select")) event.target.form.requestSubmit();
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-act], [data-said] [data-undo-form]")) return;
  event.preventDefault();
  event.target.closest("[data-menu]")?.removeAttribute("open");
  event.target.closest("[data-said]")?.remove();
  act(event.target, event.submitter);
});

mark();
// Beside a form the list is only what there is already.
if (root() && !document.querySelector("[data-alert-form]")) {
  const parts = ["[data-alerts]", "[data-alert-limit]", "[data-alert-count]"];
  keepFresh(parts, { isBusy: () => marks().some((one) => one.checked), renewed: mark });
}
