// What every page of the shell does: search that opens with /, pause, menus, digests for screen readers.
import { call, watch } from "./api.js";
import { startDigests } from "./digest.js";
import { startLiveMenu } from "./livemenu.js";
import { startMenus } from "./menus.js";
import { startNotifications } from "./notifications.js";
import { startPause } from "./pause.js";
import { enhanceOpen } from "./search.js";
import { complain, toast } from "./toast.js";

const field = document.querySelector("#search");
const loggedIn = Boolean(document.querySelector(".account"));

async function watchIt(symbol) {
  try {
    await watch([symbol]);
    toast(`${symbol} is on your watchlist`);
    document.dispatchEvent(new Event("watchlistchange"));
  } catch (error) {
    complain(error.message);
  }
}

// The watchlist page asks for itself again; every other page has one number to correct.
document.addEventListener("watchlistchange", async () => {
  const count = document.querySelector("[data-in-use]");
  if (document.querySelector("[data-watchlist]") || !count) return;
  const list = await call("/api/v1/watchlist/").catch(() => null);
  if (list) count.textContent = list.results.filter((row) => !row.dormant).length;
});

for (const form of document.querySelectorAll("[data-search=open]")) enhanceOpen(form, loggedIn ? watchIt : null);

function isTyping(target) {
  return target.closest?.("input, textarea, select, [contenteditable], dialog");
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  event.preventDefault();
  if (field.checkVisibility()) field.focus();
  else location.assign("/tickers/");
});

startMenus();
startPause();
startLiveMenu();
startDigests();
if (loggedIn) startNotifications();
