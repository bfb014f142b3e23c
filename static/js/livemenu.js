// Beside the pause control: how prices come, how old the newest message is, how often, why; and the choice of it.
// A page may show it more than once. What changes is said once, politely.
import { live } from "./live.js";
import { gapOf, heardOf, oftenOf, paceOf, wayOf } from "./pacewords.js";

const SAY_AFTER_MS = 1_000; // on the way from one state to the next nothing is worth a word
const SHORT = { "1s": "1 s", "5s": "5 s", "30s": "30 s" };
let said = "Live";
let timer = 0;

function write(root, name, text) {
  const element = root.querySelector(`[data-live-${name}]`);
  if (element.textContent !== text) element.textContent = text;
}

function labelOf(words) {
  const rate = live.way === "polling" || live.offlineSince || live.closed ? "" : SHORT[paceOf(live).mode];
  return rate ? `${words}, ${rate}` : words;
}

function paint() {
  const [way, often, gap] = [wayOf(live), oftenOf(live), gapOf(live)];
  for (const menu of document.querySelectorAll("[data-live-menu]")) {
    menu.hidden = !live.isStarted;
    menu.dataset.liveState = way.state;
    write(menu, "label", labelOf(way.words));
    write(menu, "way", way.words);
    write(menu, "often", often.words);
    const plans = menu.querySelector("[data-live-plans]");
    if (plans) plans.hidden = !often.byPlan;
    menu.querySelector("[data-live-gap]").hidden = !gap;
    write(menu, "recovered", gap);
    for (const button of menu.querySelectorAll("[data-cadence]")) {
      button.setAttribute("aria-pressed", String(button.dataset.cadence === live.cadence.chosen));
    }
  }
  tick();
  clearTimeout(timer);
  timer = setTimeout(say, SAY_AFTER_MS);
}

function tick() {
  for (const menu of document.querySelectorAll("[data-live-menu][open]")) write(menu, "heard", heardOf(live));
}

// Being offline, logged out or paused is told elsewhere; a tab that nobody sees says nothing.
function say() {
  const { state, words } = wayOf(live);
  if (document.hidden || !live.isStarted || !["live", "polling"].includes(state)) return;
  const often = oftenOf(live).words;
  const now = paceOf(live).mode === "live" || live.way === "polling" ? words : `${words}. ${often}`;
  if (now === said) return;
  said = now;
  document.querySelector("[data-live-said]").textContent = now;
}

export function startLiveMenu() {
  live.addEventListener("status", paint);
  document.addEventListener("pagechange", paint);
  document.addEventListener("toggle", tick, true);
  setInterval(() => document.hidden || tick(), 1000);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-cadence]");
    if (button) live.cadence.choose(button.dataset.cadence);
  });
  paint();
}
