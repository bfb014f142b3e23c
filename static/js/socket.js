// One WebSocket that comes back by itself: full-jitter backoff of 1 to 30 s, and a watchdog, since a
// connection that went silent without closing is not noticed by the browser.
const SILENCE_MS = 12_000; // the server's heartbeat comes every 5 s
const LONGEST_WAIT_S = 30;

export class Socket {
  #handlers;
  #socket = null;
  #attempt = 0;
  #retryTimer = 0;
  #watchdog = 0;

  constructor(handlers) {
    this.#handlers = handlers;
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => !document.hidden && this.retryNow());
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  open() {
    clearTimeout(this.#retryTimer);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/v1/stream`);
    this.#socket = socket;
    this.#listen();
    socket.addEventListener("open", () => {
      this.#attempt = 0;
      this.#handlers.open();
    });
    socket.addEventListener("message", (event) => {
      this.#listen();
      this.#handlers.message(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => socket === this.#socket && this.#lost());
  }

  send(message) {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
  }

  // Only where a wait is pending; an open or opening connection is left alone.
  retryNow() {
    if (!this.#retryTimer) return;
    this.#attempt = 0;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
    this.open();
  }

  #listen() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#lost(), SILENCE_MS);
  }

  #lost() {
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#handlers.lost();
    const longest = Math.min(2 ** this.#attempt++, LONGEST_WAIT_S);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = 0;
      this.open();
    }, Math.random() * longest * 1000);
  }
}
