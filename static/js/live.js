// What this page shows of prices: it starts with what the server printed, then follows the socket. While paused,
// prices are kept but not shown. Events: "prices" with the symbols that changed on the screen, "status" when
// offline, paused or refused changed.
import { Book } from "./book.js";
import { setServerTime } from "./clock.js";
import { setPhases } from "./phases.js";
import { Socket } from "./socket.js";

const OFFLINE_AFTER_MS = 1500; // a server that restarts is back before anybody need know

class Live extends EventTarget {
  shown = new Map();
  pausedSince = localStorage.getItem("paused") ? Date.now() : 0;
  offlineSince = 0;
  refused = null;
  #book = new Book();
  #symbols = new Set();
  #lastHeard = Date.now();
  #frame = 0;
  #socket = new Socket({
    open: () => this.#opened(),
    message: (message) => this.#received(message),
    lost: () => setTimeout(() => this.#goOffline(), OFFLINE_AFTER_MS),
  });

  start(payload) {
    this.#take(payload);
    // A ticker that is only looked at stops counting against the plan when its page is left.
    addEventListener("pagehide", () => this.#say("unsubscribe", [...this.#symbols]));
    addEventListener("pageshow", (event) => event.persisted && this.#opened());
    setTimeout(() => this.#goOffline(), 3 * OFFLINE_AFTER_MS);
    this.#socket.open();
  }

  // After a change of the list: follow what is new, leave what is gone.
  follow(payload) {
    const before = this.#symbols;
    this.#take(payload);
    const gone = [...before].filter((symbol) => !this.#symbols.has(symbol));
    this.#book.forget(gone);
    this.#say("unsubscribe", gone);
    this.#say("subscribe", [...this.#symbols].filter((symbol) => !before.has(symbol)));
  }

  // After a change of what is allowed: watched or not, a ticker that is looked at is live where the plan has room.
  askAgain(symbols) {
    this.#say("subscribe", symbols);
  }

  pause(paused) {
    this.pausedSince = paused ? Date.now() : 0;
    if (paused) localStorage.setItem("paused", "1");
    else localStorage.removeItem("paused");
    this.#tell("status");
    this.#show();
  }

  retryNow() {
    this.#socket.retryNow();
  }

  #take({ now, phases, quotes }) {
    setServerTime(now);
    setPhases(phases);
    this.#symbols = new Set(quotes.map((payload) => payload.symbol));
    this.#book.open(quotes);
    for (const symbol of this.#symbols) this.shown.set(symbol, this.#book.quotes.get(symbol));
  }

  #say(type, symbols) {
    if (symbols.length) this.#socket.send({ type, id: type, symbols });
  }

  #opened() {
    this.offlineSince = 0;
    this.refused = null;
    this.#say("subscribe", [...this.#symbols]);
    this.#tell("status");
  }

  #received(message) {
    this.#lastHeard = Date.now();
    if (message.type === "quotes") this.#book.frames(message.q);
    else if (message.type === "subscribed") this.#granted(message);
    else if (message.type === "stale") this.#book.markStale(message.symbols, message.reason);
    else if (message.type === "heartbeat") setServerTime(message.t);
    else if (message.type === "error") this.#refuse(message);
    if (this.#book.hasNews) this.#show();
  }

  #granted({ symbols, quotes }) {
    this.#book.snapshot(quotes);
    if (this.refused?.symbols.every((symbol) => symbols.includes(symbol))) this.#tell("status", (this.refused = null));
  }

  // A price that no longer moves must not look live.
  #refuse(message) {
    this.refused = message;
    this.#book.markStale(message.symbols, null);
    this.#tell("status");
  }

  #goOffline() {
    if (this.#socket.isOpen || this.offlineSince) return;
    this.offlineSince = this.#lastHeard;
    this.#tell("status");
  }

  #show() {
    if (this.pausedSince) return;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const symbols = this.#book.takeChanged();
      for (const symbol of symbols) this.shown.set(symbol, this.#book.quotes.get(symbol));
      this.#tell("prices", symbols);
    });
  }

  #tell = (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail }));
}

export const live = new Live();
