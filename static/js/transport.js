// Which way prices come: a WebSocket; where none opens, Server-Sent Events; where none of those, polling. And back up.
// Waits grow with full jitter and start anew once a connection has brought something.
import { EventStream } from "./eventstream.js";
import { Polling } from "./polling.js";
import { Socket } from "./socket.js";

const WAYS = [Socket, EventStream, Polling];
const TRIES = 2; // failures in a row before the next way is taken
const LONGEST_WAIT_S = 8; // a restart takes a few seconds, and most are back ten seconds after it
const PATIENT_AFTER = 10; // attempts: then it is no restart
const PATIENT_WAIT_S = 30;
const WORKS_AFTER_MS = 3_000; // open for so long counts as much as a message; a proxy that closes does it at once
const CLIMB_MS = 60_000;
const CLIMB_SOON_MS = 10_000; // at first, where a better way has worked on this page: it was rather the server's fault
const LOGGED_OUT = 4001;
const between = (least, most) => least + Math.random() * (most - least);

// Until the next attempt, by close code. Those who are told of a restart together must not come back together.
const WAITS = {
  4003: () => CLIMB_MS,
  4009: () => 30_000,
  4029: () => 30_000,
  4012: () => between(500, 6_000),
  1012: () => between(500, 6_000),
};

export class Transport {
  #wish;
  #handlers;
  #way = 0;
  #link = null;
  #candidate = null; // a better way that is tried while this one works
  #candidateWay = 0;
  #bestWay = WAYS.length; // that has worked on this page
  #worked = false; // this link has
  #climbs = 0; // attempts since one worked
  #failures = 0; // in a row, of this way
  #attempt = 0; // in a row, of all
  #retryTimer = 0;
  #climbTimer = 0;
  #worksTimer = 0;
  #ended = false;

  // `wish`: symbols, positions, cadence, isLoggedIn, followed. `handlers`: opened(kind), message(message), lost(code).
  constructor(wish, handlers) {
    this.#wish = wish;
    this.#handlers = handlers;
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#retryTimer && this.retryNow());
  }

  get isOpen() {
    return Boolean(this.#link?.isOpen);
  }

  get isPushed() {
    return Boolean(this.#link?.isPushed);
  }

  open() {
    this.#retryTimer = 0;
    this.#worked = false;
    this.#link = this.#made(WAYS[this.#way]);
    this.#link.open();
  }

  close() {
    for (const timer of [this.#retryTimer, this.#climbTimer, this.#worksTimer]) clearTimeout(timer);
    this.#retryTimer = this.#climbTimer = 0;
    this.#link?.close();
    this.#candidate?.close();
    this.#link = this.#candidate = null;
  }

  // From the top, whatever there is.
  restart() {
    if (this.#ended) return;
    this.close();
    this.#way = this.#failures = this.#attempt = 0;
    this.open();
  }

  // Where a wait is pending, and to a better way; what is open or opening is left alone.
  retryNow() {
    if (this.#retryTimer) this.restart();
    else if (this.#way && this.#link) this.#climb();
  }

  follow(added, gone = []) {
    if (added.length || gone.length) for (const link of this.#links) link.follow(added, gone);
  }

  // The page goes, perhaps to come back: a WebSocket says what it no longer wants, the others just end.
  leave() {
    if (this.#way) this.close();
    else this.follow([], this.#wish.symbols);
  }

  pace() {
    for (const link of this.#links) link.pace();
  }

  get #links() {
    return [this.#link, this.#candidate].filter(Boolean);
  }

  // A link that is no longer ours has nothing to say.
  #made(Way) {
    const link = new Way(this.#wish, {
      opened: () => link === this.#link && this.#opened(),
      message: (message) => {
        if (link === this.#candidate) this.#answered(message);
        if (link === this.#link) this.#heard(message);
      },
      lost: (why) => {
        if (link === this.#candidate) this.#stay();
        else if (link === this.#link) this.#lost(why);
      },
      away: () => link === this.#link && this.#handlers.lost(),
    });
    return link;
  }

  #opened() {
    const link = this.#link;
    clearTimeout(this.#worksTimer);
    this.#worksTimer = setTimeout(() => link === this.#link && link.isOpen && this.#works(), WORKS_AFTER_MS);
    if (this.#way && !this.#climbTimer) this.#climbLater();
    this.#handlers.opened(WAYS[this.#way].kind);
  }

  #heard(message) {
    this.#works();
    this.#handlers.message(message);
  }

  #works() {
    this.#worked = true;
    this.#failures = this.#attempt = 0;
    if (this.#way > this.#bestWay) return;
    this.#bestWay = this.#way;
    this.#climbs = 0;
  }

  #lost({ code, retryMs }) {
    this.#link = null;
    if (!this.#worked) this.#failures++;
    if (code === LOGGED_OUT) this.#end();
    else this.#retry(retryMs ?? WAITS[code]?.());
    this.#handlers.lost(code);
  }

  #retry(told) {
    if (this.#failures >= TRIES && this.#wish.symbols.length) this.#fall();
    this.#retryTimer = setTimeout(() => this.open(), told ?? between(0, this.#longestWait()));
  }

  #longestWait() {
    const attempt = this.#attempt++;
    return 1000 * (attempt < PATIENT_AFTER ? Math.min(2 ** attempt, LONGEST_WAIT_S) : PATIENT_WAIT_S);
  }

  // Below the last way is the best one that has worked: then it is rather the server that is away.
  #fall() {
    this.#failures = 0;
    this.#way += 1;
    if (this.#way === WAYS.length) this.#way = this.#bestWay % WAYS.length;
    this.#stopClimbing(); // when the next one works it is decided anew how soon
  }

  // Nobody is logged in here any more: to come back by ourselves would be as somebody else.
  #end() {
    this.close();
    this.#ended = true;
  }

  #climbLater() {
    const soon = Math.min(CLIMB_SOON_MS * 2 ** this.#climbs++, 2 * CLIMB_MS);
    const wait = this.#bestWay < this.#way ? between(0, soon) : between(0.75 * CLIMB_MS, 1.25 * CLIMB_MS);
    this.#climbTimer = setTimeout(() => this.#climb(), wait);
  }

  // The best first. The way that works goes on until a better one has brought something.
  #climb(way = 0) {
    this.#stopClimbing();
    this.#candidateWay = way;
    this.#candidate = this.#made(WAYS[way]);
    this.#candidate.open();
  }

  #stopClimbing() {
    clearTimeout(this.#climbTimer);
    this.#climbTimer = 0;
    this.#candidate?.close();
    this.#candidate = null;
  }

  #answered(message) {
    if (message.type === "error") return; // a close follows, or something better
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
    this.#way = this.#candidateWay;
    this.#link?.close();
    this.#link = this.#candidate;
    this.#candidate = null;
    this.#opened();
  }

  #stay() {
    this.#candidate = null;
    if (this.#candidateWay + 1 < this.#way) this.#climb(this.#candidateWay + 1);
    else this.#climbLater();
  }
}
