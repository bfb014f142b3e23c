// The live stream as Server-Sent Events, where no WebSocket gets through; the same shape as socket.js.
// A browser opens only six of them to one server over all its tabs, so a tab that nobody sees has none.
const OPEN_WITHIN_MS = 8_000;
const SILENCE_MS = 20_000; // the heartbeat comes every 5 s, but proxies hand on late
const EVENTS = ["subscribed", "quotes", "stale", "fresh", "cadence", "notification", "card", "heartbeat"];
// What the server says before it ends a stream, as the close codes of a WebSocket.
const ENDS = {
  session_ended: 4001,
  not_authenticated: 4001,
  connection_limit: 4003,
  too_slow: 4008,
  restarting: 4012,
};
const ASLEEP = ["hidden", "paused"];

let lastId = ""; // outlives a connection: what comes after it is what we missed

export class EventStream {
  static kind = "stream";
  #wish;
  #handlers;
  #source = null;
  #watchdog = 0;
  #heard = false; // something came since it opened

  constructor(wish, handlers) {
    this.#wish = wish;
    this.#handlers = handlers;
  }

  // One that sleeps is as good as open: it wakes without an attempt of its own.
  get isOpen() {
    return this.#isAsleep || this.#source?.readyState === EventSource.OPEN;
  }

  get isPushed() {
    return this.#source?.readyState === EventSource.OPEN;
  }

  open() {
    if (this.#isAsleep) return this.#handlers.opened();
    this.#watch(OPEN_WITHIN_MS);
    const source = connect(this.#address());
    if (!source) return this.#watch(0); // there is none here, or a policy against it
    this.#source = source;
    source.addEventListener("open", () => source === this.#source && this.#opened());
    for (const name of EVENTS) source.addEventListener(name, (event) => source === this.#source && this.#received(event));
    source.addEventListener("error", (event) => source === this.#source && this.#failed(event));
  }

  close() {
    clearTimeout(this.#watchdog);
    this.#source?.close();
    this.#source = null;
  }

  // What is followed stands in the address.
  follow() {
    this.close();
    this.open();
  }

  pace() {
    this.follow();
  }

  get #isAsleep() {
    const { mode, reason } = this.#wish.cadence;
    return ASLEEP.includes(mode) || ASLEEP.includes(reason) || !this.#wish.symbols.length;
  }

  #address() {
    const query = new URLSearchParams({ symbols: this.#wish.symbols.join(",") });
    const { mode } = this.#wish.cadence;
    if (mode !== "live") query.set("cadence", mode);
    if (lastId) query.set("last_event_id", lastId);
    return `/api/v1/stream/?${query}`;
  }

  #opened() {
    this.#watch(SILENCE_MS);
    this.#handlers.opened();
  }

  #received(event) {
    this.#watch(SILENCE_MS);
    this.#heard = true;
    if (event.lastEventId) lastId = event.lastEventId;
    this.#handlers.message(JSON.parse(event.data));
  }

  // "error" is the browser's word for a lost connection and the server's for something it refuses. One that worked
  // is opened again by the browser, with its Last-Event-ID; what brings nothing then is lost.
  #failed(event) {
    if (event.data) return this.#refused(event);
    const comesBack = this.#heard && this.#source.readyState === EventSource.CONNECTING;
    this.#heard = false;
    if (!comesBack) return this.#lost();
    this.#watch(OPEN_WITHIN_MS);
    this.#handlers.away();
  }

  #refused(event) {
    this.#received(event);
    const { code, retry_ms } = JSON.parse(event.data);
    if (ENDS[code]) this.#lost({ code: ENDS[code], retryMs: retry_ms });
  }

  #watch(ms) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#lost(), ms);
  }

  #lost(why = {}) {
    this.close();
    this.#handlers.lost(why);
  }
}

function connect(address) {
  try {
    return new EventSource(address);
  } catch {
    return null;
  }
}
