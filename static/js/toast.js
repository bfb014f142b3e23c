// Toasts at the lower right: at most three. One with an undo stays 10 s; pointing at it or focusing it stops the clock.
const UNDO_MS = 10_000;
const MOST = 3;

export function toast(words, undo = null) {
  const box = document.querySelector("[data-toasts]");
  const shown = document.querySelector("[data-toast]").content.firstElementChild.cloneNode(true);
  shown.querySelector("[data-words]").textContent = words;
  const button = shown.querySelector("[data-undo]");
  if (undo) {
    button.setAttribute("aria-label", `Undo: ${words}`);
    button.addEventListener("click", () => {
      shown.remove();
      undo();
    });
  } else {
    button.remove();
    shown.querySelector(".ring").remove();
  }
  runOut(shown);
  box.append(shown);
  while (box.children.length > MOST) box.firstElementChild.remove();
  return shown;
}

// What failed, and why.
export function complain(words) {
  const use = toast(words).querySelector("use");
  use.setAttribute("href", use.getAttribute("href").replace(/#.*/, "#warning"));
}

export function runOut(shown) {
  let left = UNDO_MS;
  let timer = 0;
  let since = 0;
  const run = () => {
    since = performance.now();
    timer = setTimeout(() => shown.remove(), left);
  };
  const stop = () => {
    clearTimeout(timer);
    left -= performance.now() - since;
  };
  shown.addEventListener("mouseenter", stop);
  shown.addEventListener("mouseleave", run);
  shown.addEventListener("focusin", stop);
  shown.addEventListener("focusout", run);
  run();
}
