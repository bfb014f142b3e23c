// The live stream over one WebSocket, once: whoever opened it opens another one when it is lost.
// Every transport has the same shape: open(), close(), follow(added, gone), pace(), isOpen, isPushed; it reads what is wanted
// from `wish` and tells `handlers` opened(), message(message), lost({ code, retryMs }), and away() where it comes back
// by itself.
const OPEN_WITHIN_MS = 6_000;
const SILENCE_MS = 12_000; // the server's heartbeat comes every 5 s; a connection can go silent without closing
// What the server lets a client say of itself; that it is slow is ours to remember, so it counts as a choice.
const SAYABLE = ["hidden", "save_data", "reduced_motion"];

export class Socket {
  static kind = "socket";
  #wish;
  #handlers;
  #socket = null;
  #watchdog = 0;
  #said = "live"; // the cadence that the server takes us to want
  #retryMs;

  constructor(wish, handlers) {
    this.#wish = wish;
    this.#handlers = handlers;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  get isPushed() {
    return this.isOpen;
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = connect(`${scheme}://${location.host}/ws/v1/stream`);
    if (!socket) return this.#watch(0); // there is none here, or a policy against it
    this.#socket = socket;
    this.#watch(OPEN_WITHIN_MS);
    socket.addEventListener("open", () => this.#opened());
    socket.addEventListener("message", (event) => this.#received(JSON.parse(event.data)));
    socket.addEventListener("close", ({ code }) => socket === this.#socket && this.#lost({ code, retryMs: this.#retryMs }));
  }

  close() {
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  follow(added, gone) {
    this.#ask("unsubscribe", gone);
    this.#ask("subscribe", added);
  }

  pace() {
    const { mode, reason } = this.#wish.cadence;
    const words = `${mode} ${reason}`;
    if (words === this.#said || (mode === "live" && this.#said === "live")) return;
    const why = SAYABLE.includes(reason) ? { reason } : {};
    if (this.#say({ type: "cadence", mode, ...why })) this.#said = mode === "live" ? "live" : words;
  }

  #opened() {
    this.#watch(SILENCE_MS);
    this.pace();
    this.#ask("subscribe", this.#wish.symbols, { id: "resume", resume: this.#wish.positions });
    this.#handlers.opened();
    const { isLoggedIn, followed } = this.#wish;
    if (isLoggedIn && followed) this.#say({ type: "follow", id: "follow", notifications: true, ...followed });
  }

  #received(message) {
    if (!this.#socket) return;
    this.#watch(SILENCE_MS);
    if (message.type === "heartbeat" && message.ack) this.#say({ type: "ack", t: message.t });
    if (message.type === "error") this.#retryMs = message.retry_ms;
    this.#handlers.message(message);
  }

  #ask(type, symbols, more = {}) {
    if (symbols.length) this.#say({ type, id: type, symbols, ...more });
  }

  #say(message) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #watch(ms) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#lost({}), ms);
  }

  #lost(why) {
    this.close();
    this.#handlers.lost(why);
  }
}

function connect(address) {
  try {
    return new WebSocket(address);
  } catch {
    return null;
  }
}
