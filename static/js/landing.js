// The demo table of the start page, live without a login.
import { Board, refreshSparks } from "./board.js";
import { live } from "./live.js";
import { startLiveMenu } from "./livemenu.js";
import { startMenus } from "./menus.js";
import { startPause } from "./pause.js";

const root = () => document.querySelector("[data-live-page]");
const board = new Board(root());
live.start(JSON.parse(document.querySelector("#payload").textContent));
board.tick();
startPause();
startLiveMenu();
startMenus();
setInterval(() => refreshSparks(root), 60_000);
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-retry]")) live.retryNow();
});
