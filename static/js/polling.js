// The last way to prices, where no stream gets through: ask every few seconds, and be told briefly when nothing changed.
// The same shape as socket.js; its messages are those of the stream, and "polled" for what was asked again.
const EVERY_MS = { live: 5_000, "1s": 5_000, "5s": 5_000, "30s": 30_000, paused: Infinity };
const ANSWER_WITHIN_MS = 10_000;
const MOST_SYMBOLS = 100;
const JITTER = 0.1; // pages that lost their stream together must not go on asking together

export class Polling {
  static kind = "polling";
  #wish;
  #handlers;
  #timer = 0;
  #running = null; // AbortController of the request under way
  #etags = new Map(); // by address
  #worked = false;
  #told = false;

  constructor(wish, handlers) {
    this.#wish = wish;
    this.#handlers = handlers;
  }

  get isOpen() {
    return this.#worked;
  }

  get isPushed() {
    return false;
  }

  open() {
    this.#ask();
  }

  close() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
  }

  follow() {
    this.#ask();
  }

  pace() {
    this.#ask();
  }

  async #ask() {
    this.close();
    if (this.#every === Infinity) return this.#open();
    const running = (this.#running = new AbortController());
    const outcome = await this.#round(running.signal).catch(() => ({}));
    if (running !== this.#running) return; // closed, or asked again meanwhile
    this.#running = null;
    if (outcome.waitMs === undefined) this.#handlers.lost(outcome);
    else this.#timer = setTimeout(() => this.#ask(), outcome.waitMs * (1 + Math.random() * JITTER));
  }

  get #every() {
    return EVERY_MS[this.#wish.cadence.mode];
  }

  // { waitMs } until the next one; without it this way is lost.
  async #round(signal) {
    const quotes = [];
    const { symbols } = this.#wish;
    for (let at = 0; at < symbols.length; at += MOST_SYMBOLS) {
      const asked = symbols.slice(at, at + MOST_SYMBOLS);
      const answer = await this.#get(asked, signal);
      if (answer.status === 429) return this.#hold(answer);
      if (answer.status === 401 || answer.status === 403) return this.#refused(answer, asked);
      if (answer.status !== 304 && !answer.ok) return {};
      if (answer.ok) quotes.push(...(await answer.json()).results);
    }
    this.#tell(symbols, quotes);
    return { waitMs: this.#every };
  }

  async #get(symbols, signal) {
    const address = `/api/v1/quotes/?${new URLSearchParams({ symbols: symbols.join(",") })}`;
    const headers = { Accept: "application/json" };
    if (this.#etags.has(address)) headers["If-None-Match"] = this.#etags.get(address);
    const within = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
    const answer = await fetch(address, { headers, cache: "no-store", signal: within });
    if (answer.ok && answer.headers.has("ETag")) this.#etags.set(address, answer.headers.get("ETag"));
    return answer;
  }

  // Asked too often: that is an answer, so the way is open.
  #hold(answer) {
    this.#open();
    return { waitMs: Math.max(secondsOf(answer.headers.get("Retry-After")) * 1000, this.#every) };
  }

  async #refused(answer, symbols) {
    if (this.#wish.isLoggedIn) return { code: 4001 };
    const { code, detail } = await answer.json();
    this.#open();
    this.#handlers.message({ type: "error", id: null, code, message: detail, symbols });
    return { waitMs: EVERY_MS["30s"] };
  }

  #tell(symbols, quotes) {
    const type = this.#told ? "polled" : "subscribed";
    this.#open();
    this.#told = true;
    this.#handlers.message({ type, symbols, quotes });
  }

  #open() {
    if (!this.#worked) this.#handlers.opened();
    this.#worked = true;
  }
}

// Seconds, or a date.
function secondsOf(text) {
  if (!text) return 0;
  return Number.isNaN(Number(text)) ? Math.max((Date.parse(text) - Date.now()) / 1000, 0) || 0 : Number(text);
}
