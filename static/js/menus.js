// Menus are <details data-menu>: a click elsewhere and Escape close them.
const isOpen = "[data-menu][open]";

export function startMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(isOpen)) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(isOpen);
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
