// What this page shows of prices: it starts with what the server printed, then follows the stream. While paused,
// prices are kept but not shown. Events: "prices" with the symbols that changed on the screen, "missed" with the
// quotes that came while the connection was away, "status" when anything else changed that a page tells; "opened",
// "following" and "notification" for what a user is told, paused or not.
import { Book } from "./book.js";
import { Cadence } from "./cadence.js";
import { setServerTime } from "./clock.js";
import { setPhases } from "./phases.js";
import { Transport } from "./transport.js";

const OFFLINE_AFTER_MS = 1500; // a server that restarts is back before anybody need know
const ASK_AGAIN_MS = 5_000;
const TOO_SLOW = 4008;
const TO_THE_USER = ["following", "notification"];
const TOLD = [4001, 4003]; // logged out, too many connections

class Live extends EventTarget {
  shown = new Map();
  pausedSince = localStorage.getItem("paused") ? Date.now() : 0;
  offlineSince = 0;
  heardAt = Date.now();
  refused = null;
  closed = 0; // the code by which the server ended the connection, where a person has to know
  way = ""; // socket, stream or polling; nothing before the first connection
  pace = { mode: "live", reason: "chosen" }; // how often the server sends, and why
  backSince = 0; // when the connection came back, after one that was lost
  recovered = null; // whether the server says that nothing was missed
  isStarted = false;
  followed = null; // () => what this page has of its user's notifications
  cadence = new Cadence();
  #book = new Book();
  #symbols = new Set();
  #frame = 0;
  #isListening = false;
  #wasLost = false;
  #transport = new Transport(this.#wish, {
    opened: (way) => this.#opened(way),
    message: (message) => this.#received(message),
    lost: (code) => this.#lost(code),
  });

  get #wish() {
    const [live, book] = [this, this.#book];
    return {
      isLoggedIn: Boolean(document.querySelector(".account")),
      get followed() {
        return live.followed?.() ?? null;
      },
      get symbols() {
        return [...live.#symbols];
      },
      get positions() {
        return book.positions(live.#symbols);
      },
      get cadence() {
        return live.cadence.wanted;
      },
    };
  }

  start(payload) {
    this.#take(payload);
    this.isStarted = true;
    this.cadence.paused = Boolean(this.pausedSince);
    this.cadence.addEventListener("change", () => this.#repace());
    this.listen();
    this.#tell("status");
  }

  // Once; also on a page without prices, for what its user is told.
  listen() {
    if (this.#isListening) return;
    this.#isListening = true;
    // A ticker that is only looked at stops counting against the plan when its page is left.
    addEventListener("pagehide", () => this.#transport.leave());
    addEventListener("pageshow", (event) => event.persisted && this.#transport.restart());
    setTimeout(() => this.#goOffline(), 3 * OFFLINE_AFTER_MS);
    this.#transport.open();
  }

  // Whether the server says by itself what happens.
  get isPushed() {
    return this.#transport.isPushed;
  }

  // After a change of the list: follow what is new, leave what is gone.
  follow(payload) {
    const before = this.#symbols;
    this.#take(payload);
    const gone = [...before].filter((symbol) => !this.#symbols.has(symbol));
    const added = [...this.#symbols].filter((symbol) => !before.has(symbol));
    this.#book.forget(gone);
    this.#book.restart(added);
    this.#transport.follow(added, gone);
  }

  // After a change of what is allowed: watched or not, a ticker that is looked at is live where the plan has room.
  askAgain(symbols) {
    const asked = symbols.filter((symbol) => this.#symbols.has(symbol));
    this.#book.restart(asked);
    this.#transport.follow(asked);
  }

  pause(paused) {
    this.pausedSince = paused ? Date.now() : 0;
    if (paused) localStorage.setItem("paused", "1");
    else localStorage.removeItem("paused");
    this.cadence.paused = paused;
    this.#tell("status");
    this.#show();
  }

  retryNow() {
    this.#transport.retryNow();
  }

  #take({ now, phases, quotes }) {
    setServerTime(now);
    setPhases(phases);
    this.#symbols = new Set(quotes.map((payload) => payload.symbol));
    this.#book.open(quotes);
    for (const symbol of this.#symbols) this.shown.set(symbol, this.#book.quotes.get(symbol));
  }

  #repace() {
    this.#transport.pace();
    this.#tell("status");
  }

  #opened(way) {
    this.recovered = this.refused = null;
    if (!this.closed) this.offlineSince = 0; // it may be closed again as soon
    this.way = way;
    this.pace = way === "stream" ? this.cadence.wanted : { mode: "live", reason: "chosen" };
    if (this.#wasLost) this.backSince = Date.now();
    this.#wasLost = false;
    this.#book.restart(this.#symbols);
    this.#tell("opened", way);
    this.#tell("status");
  }

  #received(message) {
    this.heardAt = Date.now();
    if (this.closed && message.type !== "error") this.closed = this.offlineSince = 0;
    if (message.type === "quotes") this.#book.frames(message.q);
    else if (message.type === "subscribed") this.#granted(message);
    else if (message.type === "polled") this.#book.polled(message.quotes);
    else if (message.type === "stale") this.#book.markStale(message.symbols, message.reason);
    else if (message.type === "fresh") this.#book.markFresh(message.symbols);
    else if (message.type === "heartbeat") setServerTime(message.t);
    else if (message.type === "cadence") this.#paced(message);
    else if (message.type === "error") this.#refuse(message);
    else if (TO_THE_USER.includes(message.type)) this.#tell(message.type, message);
    if (this.#book.hasNews) this.#show();
  }

  #granted({ symbols, quotes, id, recovered, missed = [] }) {
    const between = this.#book.missed(missed);
    if (between.length && !this.pausedSince) this.#tell("missed", between);
    this.#book.snapshot(quotes);
    if (id !== "subscribe") this.recovered = recovered ?? null;
    if (this.refused?.symbols.every((symbol) => symbols.includes(symbol))) this.refused = null;
    this.#tell("status");
  }

  #paced({ mode, reason }) {
    const { wanted } = this.cadence;
    const ours = reason === "chosen" && wanted.mode === mode;
    this.pace = { mode, reason: ours ? wanted.reason : reason };
    this.#tell("status");
  }

  // A price that no longer moves must not look live. Without symbols it is about the connection, and its end follows.
  #refuse(message) {
    const { symbols = [], code } = message;
    if (!symbols.length) return;
    this.refused = message;
    this.#book.markStale(symbols, null);
    if (code === "unavailable") setTimeout(() => this.askAgain(symbols), ASK_AGAIN_MS * (1 + Math.random()));
    this.#tell("status");
  }

  #lost(code) {
    this.#wasLost = Boolean(this.way);
    this.closed = TOLD.includes(code) ? code : 0;
    if (code === TOO_SLOW) this.cadence.slowDown();
    setTimeout(() => this.#goOffline(), OFFLINE_AFTER_MS);
    this.#tell("status");
  }

  #goOffline() {
    if (this.#transport.isOpen || this.offlineSince) return;
    this.offlineSince = this.heardAt;
    this.#tell("status");
  }

  #show() {
    if (this.pausedSince) return;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.pausedSince) return; // since it was asked for
      const symbols = this.#book.takeChanged();
      for (const symbol of symbols) this.shown.set(symbol, this.#book.quotes.get(symbol));
      this.#tell("prices", symbols);
    });
  }

  #tell = (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail }));
}

export const live = new Live();
