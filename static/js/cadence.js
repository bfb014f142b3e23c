// How often this page wants prices, and why: what was chosen, made slower by what the device and the tab say of
// themselves. The server may make it slower still, and says so.
export const MODES = ["live", "1s", "5s", "30s", "paused"];
const SLOW_FOR_MS = 120_000; // the server sees by itself whether it goes on
const HIDDEN_AFTER_MS = 5_000; // a quick look at another tab says nothing
const still = matchMedia("(prefers-reduced-motion: reduce)");

const slowest = (wishes) => wishes.reduce((a, b) => (MODES.indexOf(b.mode) > MODES.indexOf(a.mode) ? b : a));

// "change" when it has to be said again.
export class Cadence extends EventTarget {
  #hidden = false;
  #hiddenTimer = 0;
  #slow = false;
  #slowTimer = 0;
  #paused = false;
  #told = "";

  constructor() {
    super();
    this.#told = this.#words;
    const changed = () => this.#tell();
    still.addEventListener("change", changed);
    navigator.connection?.addEventListener?.("change", changed);
    addEventListener("storage", (event) => event.key === "cadence" && changed());
    document.addEventListener("visibilitychange", () => this.#see());
    this.#see();
  }

  get chosen() {
    const stored = localStorage.getItem("cadence");
    return MODES.includes(stored) ? stored : "live";
  }

  // The choice of a person counts more than what we found out about the connection.
  choose(mode) {
    if (mode === "live") localStorage.removeItem("cadence");
    else localStorage.setItem("cadence", mode);
    this.#setSlow(false);
  }

  set paused(paused) {
    this.#paused = paused;
    this.#tell();
  }

  // Where two are equally slow, the earlier one is told.
  get wanted() {
    const wishes = [{ mode: this.chosen, reason: "chosen" }];
    if (still.matches) wishes.push({ mode: "1s", reason: "reduced_motion" });
    if (navigator.connection?.saveData) wishes.push({ mode: "5s", reason: "save_data" });
    if (this.#slow) wishes.push({ mode: "5s", reason: "slow_client" });
    if (this.#hidden) wishes.push({ mode: "30s", reason: "hidden" });
    if (this.#paused) wishes.push({ mode: "paused", reason: "chosen" });
    return slowest(wishes);
  }

  // The server gave this connection up because it could not keep up.
  slowDown() {
    this.#setSlow(true);
    this.#slowTimer = setTimeout(() => this.#setSlow(false), SLOW_FOR_MS);
  }

  #setSlow(slow) {
    clearTimeout(this.#slowTimer);
    this.#slow = slow;
    this.#tell();
  }

  #see() {
    clearTimeout(this.#hiddenTimer);
    if (document.hidden) this.#hiddenTimer = setTimeout(() => this.#hide(true), HIDDEN_AFTER_MS);
    else this.#hide(false);
  }

  #hide(hidden) {
    this.#hidden = hidden;
    this.#tell();
  }

  get #words() {
    const { mode, reason } = this.wanted;
    return `${mode} ${reason}`;
  }

  #tell() {
    if (this.#words === this.#told) return;
    this.#told = this.#words;
    this.dispatchEvent(new Event("change"));
  }
}
