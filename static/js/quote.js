// One shape for a quote, whether it came with the page, in a snapshot or in a frame.

export function fromPayload(payload) {
  const { as_of, change_percent, previous_close, replay_date, e, n, ...rest } = payload;
  return {
    ...rest,
    percent: change_percent,
    previousClose: previous_close,
    replayDate: replay_date,
    t: as_of ? Date.parse(as_of) : 0,
    position: [e, n],
  };
}

// A frame carries what changes with a tick; the day's open, high and low follow from what is known.
export function fromFrame(frame, known = {}) {
  const sameDay = known.replayDate === (frame.rd ?? null) && known.price;
  return {
    ...known,
    ...(sameDay ? spread(known, frame.p) : { open: frame.p, high: frame.p, low: frame.p, bid: null, ask: null }),
    symbol: frame.s,
    price: frame.p,
    change: frame.c,
    percent: frame.cp,
    volume: frame.v,
    t: frame.t,
    position: [frame.e, frame.n],
    provider: frame.pr,
    replayDate: frame.rd ?? null,
    halted: Boolean(frame.x),
    stale: false,
    reason: frame.x ? "halted" : null,
  };
}

function spread(known, price) {
  return {
    high: Number(price) > Number(known.high ?? 0) ? price : known.high,
    low: known.low === null || Number(price) < Number(known.low) ? price : known.low,
  };
}

export function isNewer([epoch, number], [knownEpoch, knownNumber]) {
  return epoch > knownEpoch || (epoch === knownEpoch && number > knownNumber);
}

export function stateOf(quote) {
  if (!quote?.price) return "none";
  if (quote.stale) return "stale";
  return quote.halted ? "halted" : "ok";
}
