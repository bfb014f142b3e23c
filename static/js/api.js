// Calls to our own API with the CSRF token of the page; a refusal becomes an error with the API's sentence.
export class Refusal extends Error {
  constructor(problem, status) {
    super(problem?.detail ?? "The server did not answer. Nothing was changed; try again in a moment.");
    this.code = problem?.code ?? "unavailable";
    this.status = status;
  }
}

const token = () => document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";

export async function call(path, { method = "GET", body } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = token();
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) }).catch(() => null);
  if (!answer) throw new Refusal(null, 0);
  const text = await answer.text();
  const parsed = text.startsWith("{") ? JSON.parse(text) : null;
  if (!answer.ok) throw new Refusal(parsed, answer.status);
  return parsed;
}

export const watch = (symbols) => call("/api/v1/watchlist/", { method: "POST", body: { symbols } });
export const unwatch = (symbol) => call(`/api/v1/watchlist/${encodeURIComponent(symbol)}/`, { method: "DELETE" });
export const find = (text) => call(`/api/v1/tickers/?limit=8&search=${encodeURIComponent(text)}`);
