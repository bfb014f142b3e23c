// For screen readers: cells are silent; where the reader has asked for it, one polite region says what changed.
import { percent } from "./format.js";
import { live } from "./live.js";

const EVERY_MS = 30_000;
const wanted = () => Boolean(localStorage.getItem("announce"));

export function startDigests() {
  const changed = new Set();
  for (const box of document.querySelectorAll("[data-announce]")) {
    box.checked = wanted();
    box.addEventListener("change", () => {
      if (box.checked) localStorage.setItem("announce", "1");
      else localStorage.removeItem("announce");
      changed.clear();
    });
  }
  live.addEventListener("prices", (event) => event.detail.forEach((symbol) => changed.add(symbol)));
  setInterval(() => {
    if (wanted() && changed.size) document.querySelector("[data-digest]").textContent = sentence([...changed]);
    changed.clear();
  }, EVERY_MS);
}

function sentence(symbols) {
  const size = (symbol) => Math.abs(Number(live.shown.get(symbol)?.percent ?? 0));
  const most = symbols.toSorted((a, b) => size(b) - size(a))[0];
  const move = live.shown.get(most)?.percent;
  const count = symbols.length === 1 ? "1 price changed" : `${symbols.length} prices changed`;
  return move ? `${count}. ${most} ${percent(move)} today.` : `${count}.`;
}
