// How many notifications are unread: at the bell, in the navigation and in the page's title, the same in every tab.
// Whoever has read some may just lower the bell's data-unread; the rest follows.
const said = document.title;
const tabs = new BroadcastChannel("unread");
let expected = null; // what was written by ourselves, and is known to the other tabs

const bell = () => document.querySelector("#bell");
const words = (number) => (number > 99 ? "99+" : String(number));
const unread = () => Number(bell()?.dataset.unread ?? 0);

function write(number) {
  if (!bell()) return;
  expected = Math.max(number, 0);
  bell().dataset.unread = String(expected);
}

// As the server says.
export function setUnread(number) {
  write(number);
  tabs.postMessage({ is: number });
}

// Every tab is told of it.
export const oneMore = () => write(unread() + 1);

export function oneLess() {
  write(unread() - 1);
  tabs.postMessage({ less: 1 });
}

function paint(number) {
  const shown = bell().querySelector("[data-unread-number]");
  shown.textContent = words(number);
  shown.hidden = number === 0;
  bell().setAttribute("aria-label", `Notifications, ${number} unread`);
  document.title = number ? `(${words(number)}) ${said}` : said;
  for (const count of document.querySelectorAll("[data-unread-count]")) {
    count.textContent = words(number);
    count.setAttribute("aria-label", `${number} unread`);
    count.hidden = number === 0;
  }
}

export function startUnread() {
  if (!bell()) return;
  let before = unread();
  paint(before);
  tabs.postMessage({ is: before }); // no page is younger
  new MutationObserver(() => {
    const number = unread();
    if (number !== before) paint(number);
    if (number < before && number !== expected) tabs.postMessage({ less: before - number });
    before = number;
    expected = null;
  }).observe(bell(), { attributes: true, attributeFilter: ["data-unread"] });
  tabs.addEventListener("message", ({ data }) => write(data.is ?? unread() - data.less));
}
