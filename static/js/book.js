// The latest quote of each symbol; the newest wins by (e, n). Remembers what changed since it was last asked.
import { fromFrame, fromPayload, isNewer } from "./quote.js";

export class Book {
  quotes = new Map();
  #changed = new Set();
  #awaited = new Map(); // symbols whose snapshot has not come yet, with the newest frame meanwhile

  // What the page came with, for symbols that are not known better already.
  open(payloads) {
    for (const payload of payloads) {
      if (!this.quotes.get(payload.symbol)?.price) this.quotes.set(payload.symbol, fromPayload(payload));
    }
  }

  forget(symbols) {
    for (const symbol of symbols) {
      this.quotes.delete(symbol);
      this.#awaited.delete(symbol);
    }
  }

  // Where we are, for a server that may know what came since.
  positions(symbols) {
    const known = [...symbols].map((symbol) => [symbol, this.quotes.get(symbol)?.position]);
    return Object.fromEntries(known.filter(([, position]) => position?.[0] > 0));
  }

  // Subscribed again: until their snapshot comes, the newest frame is kept beside what is known.
  restart(symbols) {
    for (const symbol of symbols) this.#awaited.set(symbol, null);
  }

  // The snapshot counts even where its position is lower: the numbers begin again after a new owner of the tape or an
  // empty Redis. Only what the same connection brought meanwhile can be newer.
  snapshot(payloads) {
    for (const payload of payloads) {
      const quote = fromPayload(payload);
      const frame = this.#awaited.get(quote.symbol);
      this.#awaited.delete(quote.symbol);
      this.#keep(frame && isNewer(positionOf(frame), quote.position) ? fromFrame(frame, quote) : quote);
    }
  }

  frames(frames) {
    for (const frame of frames) {
      this.#await(frame);
      const known = this.quotes.get(frame.s);
      if (!known?.price || known.stale || isNewer(positionOf(frame), known.position)) this.#keep(fromFrame(frame, known));
    }
  }

  // What was asked again. A quote without a number was fetched: there the time of the price decides.
  polled(payloads) {
    for (const payload of payloads) {
      const quote = fromPayload(payload);
      const known = this.quotes.get(quote.symbol);
      if (!known?.price || (quote.price && !isOlder(quote, known))) this.#keep(quote);
      else if (!quote.price) this.markStale([quote.symbol], quote.reason);
    }
  }

  // The quotes between what is known and the newest, oldest first.
  missed(frames) {
    const last = new Map();
    return frames.map((frame) => {
      const quote = fromFrame(frame, last.get(frame.s) ?? this.quotes.get(frame.s));
      last.set(frame.s, quote);
      return quote;
    });
  }

  markStale(symbols, reason) {
    for (const symbol of symbols) {
      const known = this.quotes.get(symbol);
      if (known?.price) this.#keep({ ...known, stale: true, reason });
    }
  }

  // Still the same price, but known to be right again.
  markFresh(symbols) {
    for (const symbol of symbols) {
      const known = this.quotes.get(symbol);
      if (known?.stale) this.#keep({ ...known, stale: false, reason: known.halted ? "halted" : null });
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

  #await(frame) {
    const before = this.#awaited.get(frame.s);
    if (before === null || (before && isNewer(positionOf(frame), positionOf(before)))) this.#awaited.set(frame.s, frame);
  }

  #keep(quote) {
    this.quotes.set(quote.symbol, quote);
    this.#changed.add(quote.symbol);
  }
}

const positionOf = ({ e, n }) => [e, n];

function isOlder(quote, known) {
  if (quote.position[0] > 0 && known.position[0] > 0) return isNewer(known.position, quote.position);
  return quote.t < known.t;
}
