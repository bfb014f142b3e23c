// The latest quote of each symbol; the newest wins by (e, n). Remembers what changed since it was last asked.
import { fromFrame, fromPayload, isNewer } from "./quote.js";

export class Book {
  quotes = new Map();
  #changed = new Set();

  // What the page came with, for symbols that are not known better already.
  open(payloads) {
    for (const payload of payloads) {
      if (!this.quotes.get(payload.symbol)?.price) this.quotes.set(payload.symbol, fromPayload(payload));
    }
  }

  forget(symbols) {
    for (const symbol of symbols) this.quotes.delete(symbol);
  }

  // A snapshot resets the position: the numbers of a new owner of the tape start again.
  snapshot(payloads) {
    for (const payload of payloads) this.#keep(fromPayload(payload));
  }

  frames(frames) {
    for (const frame of frames) {
      const known = this.quotes.get(frame.s);
      const isNews = !known?.price || isNewer([frame.e, frame.n], known.position);
      if (isNews || known.stale) this.#keep(fromFrame(frame, known));
    }
  }

  markStale(symbols, reason) {
    for (const symbol of symbols) {
      const known = this.quotes.get(symbol);
      if (known?.price) this.#keep({ ...known, stale: true, reason });
    }
  }

  get hasNews() {
    return this.#changed.size > 0;
  }

  takeChanged() {
    const symbols = [...this.#changed];
    this.#changed.clear();
    return symbols;
  }

  #keep(quote) {
    this.quotes.set(quote.symbol, quote);
    this.#changed.add(quote.symbol);
  }
}
