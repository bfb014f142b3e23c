// Analyses: asking for new texts without leaving the page, and following them until they are written. The form works
// without a script; here its answer, the page again, is taken apart. What somebody has opened stays open.
import { send, tell } from "./alerts.js";
import { call } from "./api.js";

const EVERY_MS = 1_500;
const MOST_MS = 120_000; // longer than a text takes; then it is there when the page is opened again
const MOST_FAILURES = 5;
const WAITING = ["queued", "running"];
const root = () => document.querySelector("[data-analyses]");
const progress = () => root().querySelector("[data-progress]");
const wait = () => new Promise((done) => setTimeout(done, EVERY_MS * (1 + Math.random() / 5)));
let following = false;

function say(words) {
  if (progress().textContent !== words) progress().textContent = words;
}

const opened = (part) => [...part.querySelectorAll("[data-card] details[open]")].map((one) => one.closest("[data-card]").dataset.card);

// Part by part, so that the button keeps the focus and the words of progress are read out.
function put(page) {
  const made = page.querySelector("[data-analyses]");
  if (!made) return;
  root().toggleAttribute("data-under-way", made.hasAttribute("data-under-way"));
  for (const part of root().querySelectorAll("[data-part]")) {
    const fresh = made.querySelector(`[data-part="${part.dataset.part}"]`);
    for (const key of opened(part)) fresh.querySelector(`[data-card="${key}"] details`)?.setAttribute("open", "");
    if (!part.isEqualNode(fresh)) part.replaceWith(fresh);
  }
}

async function renew() {
  const given = { headers: { "X-Fragment": "analyses" }, cache: "no-store", redirect: "manual" };
  const answer = await fetch(location.href, given).catch(() => null);
  if (answer?.ok) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
}

const stateOf = ({ personas }) => JSON.stringify(personas.map(({ persona, order, created_at }) => [persona, order, created_at]));

function wordsOf({ personas }) {
  const [queued, running] = WAITING.map((state) => personas.filter(({ order }) => order === state).length);
  const parts = [running && `${running} being written`, queued && `${queued} queued`].filter(Boolean);
  return parts.length ? `New texts: ${parts.join(", ")}.` : "";
}

// Whether the last look has found nothing more to wait for.
async function look(before) {
  const seen = await call(`/api/v1/analyses/${encodeURIComponent(root().dataset.symbol)}/`).catch(() => null);
  if (!seen) return { state: before, failed: true };
  const state = stateOf(seen);
  if (state !== before) await renew();
  const words = wordsOf(seen);
  const isOver = !words || (state !== before && !root().hasAttribute("data-under-way"));
  if (!isOver) say(words);
  return { state, isOver, failed: false };
}

async function follow() {
  if (following) return;
  following = true;
  say(await ended());
  following = false;
}

// The last words.
async function ended() {
  const until = performance.now() + MOST_MS;
  let state = "";
  let failures = 0;
  while (performance.now() < until && failures < MOST_FAILURES) {
    await wait();
    if (document.hidden) continue;
    const found = await look(state);
    if (found.isOver) return "All texts are up to date.";
    state = found.state;
    failures = found.failed ? failures + 1 : 0;
  }
  return failures ? "The server does not answer. Open the page again in a moment." : "It takes longer than usual. The texts are here when the page is opened again.";
}

document.addEventListener("submit", async (event) => {
  if (!event.target.matches("[data-refresh]")) return;
  event.preventDefault();
  const button = event.submitter ?? event.target.querySelector("button");
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  const page = await send(event.target, event.submitter);
  button.ariaDisabled = "false";
  if (!page) return;
  tell(page);
  put(page);
  if (root().hasAttribute("data-under-way")) follow();
});

if (root().hasAttribute("data-under-way")) follow();
