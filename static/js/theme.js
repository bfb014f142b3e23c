// Sets the theme before the first paint; loaded as a blocking script because the page allows no inline ones.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try {
      return localStorage.getItem("theme") ?? "system";
    } catch {
      return "system"; // storage is blocked: follow the system
    }
  };

  function apply() {
    const choice = stored();
    if (choice === "system") delete root.dataset.theme;
    else root.dataset.theme = choice;
    const shown = choice === "system" ? (dark.matches ? "dark" : "light") : choice;
    root.dataset.shown = shown;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    }
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      const next = shown === "dark" ? "light" : "dark";
      button.dataset.next = next;
      button.setAttribute("aria-label", `Switch to ${next} theme`);
      button.title = `Switch to ${next} theme`;
    }
    document.dispatchEvent(new CustomEvent("themechange"));
  }

  function choose(choice) {
    try {
      localStorage.setItem("theme", choice);
    } catch {
      root.dataset.theme = choice;
    }
    apply();
  }

  root.classList.add("js");
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", (event) => event.key === "theme" && apply());
  addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-theme-choice], [data-theme-toggle]");
    if (button) choose(button.dataset.themeChoice ?? button.dataset.next);
  });
})();
