// The control that stops all movement (WCAG 2.2.2); the choice is remembered. A page may show it more than once.
import { live } from "./live.js";

function paint() {
  const paused = Boolean(live.pausedSince);
  for (const button of document.querySelectorAll("[data-pause]")) {
    button.setAttribute("aria-pressed", String(paused));
    const rest = button.closest(".only-narrow") ? "" : " live updates";
    button.querySelector("[data-pause-words]").textContent = `${paused ? "Resume" : "Pause"}${rest}`;
    const use = button.querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, paused ? "#play" : "#pause"));
  }
}

export function startPause() {
  live.addEventListener("status", paint);
  document.addEventListener("pagechange", paint);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-pause]")) live.pause(!live.pausedSince);
  });
  paint();
}
