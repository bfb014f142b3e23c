// Makes a channel of this browser. The browser asks its user first; why it cannot be stands beside the button.
import { call } from "./api.js";
import { Impossible, subscribe, whyNot } from "./push.js";

const box = document.querySelector("[data-push]");
const button = box?.querySelector("[data-push-on]");
const words = box?.querySelector("[data-push-words]");

function browserName() {
  const brands = navigator.userAgentData?.brands?.map(({ brand }) => brand) ?? [];
  const known = ["Google Chrome", "Microsoft Edge", "Opera"].find((one) => brands.includes(one));
  return known ?? (/firefox/i.test(navigator.userAgent) ? "Firefox" : /safari/i.test(navigator.userAgent) && !brands.length ? "Safari" : "This browser");
}

async function add() {
  button.disabled = true;
  try {
    const address = JSON.stringify(await subscribe(box.dataset.push));
    await call("/api/v1/channels/", { method: "POST", body: { kind: "browser", address, name: browserName() } });
    location.reload();
  } catch (error) {
    words.textContent = error.message;
    words.setAttribute("role", "alert");
    button.disabled = error instanceof Impossible && Boolean(whyNot());
  }
}

if (box) {
  const reason = whyNot();
  if (reason) {
    words.textContent = reason;
    button.hidden = true;
  }
  button.addEventListener("click", add);
}
