// Keeps parts of the page as the server would draw them now: they are asked for every few seconds and at each
// notification, and put in place node by node, so that nothing flickers and the focus stays where it is. Not while
// live updates are paused, nobody looks, or somebody is at it.
import { live } from "./live.js";

const EVERY_MS = 5_000;
const AT_IT = "[data-menu][open], dialog[open], :popover-open, input:not([type=checkbox]):focus, select:focus, textarea:focus";

const keyOf = (node) => node.dataset?.alert ?? "";

function rename(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}

// What stays the same stays the same node; rows are known by their alert, everything else by its place. What has
// data-still is the reader's own.
function into(old, fresh) {
  if (old.isEqualNode(fresh) || old.dataset?.still !== undefined) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = fresh.data;
    return;
  }
  rename(old, fresh);
  const rows = new Map([...old.children].map((child) => [keyOf(child), child]));
  const before = [...old.childNodes];
  const after = [...fresh.childNodes].map((made, place) => {
    const had = keyOf(made) ? rows.get(keyOf(made)) : before[place];
    if (had?.nodeName !== made.nodeName || keyOf(had) !== keyOf(made)) return made;
    into(had, made);
    return had;
  });
  if (after.length !== before.length || after.some((node, place) => node !== before[place])) old.replaceChildren(...after);
}

function put(page, parts) {
  const focused = document.activeElement;
  for (const part of parts) {
    const [old, fresh] = [document, page].map((one) => one.querySelector(part));
    if (old && fresh) into(old, fresh);
  }
  if (focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

// `parts` are selectors; `isBusy` says what else has to be left alone; `renewed` is called when they are in place.
export function keepFresh(parts, { isBusy = () => false, renewed = () => {} } = {}) {
  let asking = null;
  let isOwed = false;
  const isLeftAlone = () => document.hidden || live.pausedSince || document.querySelector(AT_IT) || isBusy();

  async function read(signal) {
    const given = { headers: { "X-Fragment": "alerts" }, cache: "no-store", redirect: "manual", signal };
    const text = await fetch(location.href, given).then((answer) => (answer.ok ? answer.text() : null)).catch(() => null);
    if (text === null || signal.aborted || isLeftAlone()) return;
    put(new DOMParser().parseFromString(text, "text/html"), parts);
    renewed();
  }

  async function ask() {
    isOwed = Boolean(asking);
    if (asking || isLeftAlone()) return;
    asking = new AbortController();
    await read(asking.signal);
    asking = null;
    if (isOwed) ask(); // something happened while the answer was on its way
  }

  live.addEventListener("notification", ask);
  setInterval(ask, EVERY_MS);
  document.addEventListener("visibilitychange", ask);
  // An answer from before an act must not undo what it shows.
  for (const name of ["submit", "pagechange", "alertschange"]) document.addEventListener(name, () => asking?.abort());
}
