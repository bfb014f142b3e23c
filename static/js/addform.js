// The form that adds a ticker: choose from the list or type a symbol; a refusal stands under the field.
import { Combobox } from "./search.js";

export function enhanceAdd(form, add) {
  const input = form.querySelector("input[name=symbol]");
  const button = form.querySelector("button");
  const error = form.querySelector("[data-error]");
  const box = new Combobox(form, ({ symbol }) => submit(symbol));

  function tell(text) {
    error.hidden = !text;
    error.querySelector("span").textContent = text;
    input.toggleAttribute("aria-invalid", false);
    if (text) input.setAttribute("aria-invalid", "true");
  }

  async function submit(symbol) {
    box.close();
    tell("");
    button.disabled = true;
    try {
      await add(symbol);
      input.value = "";
    } catch (refusal) {
      tell(refusal.message);
      input.focus();
    } finally {
      button.disabled = false;
    }
  }

  input.addEventListener("input", () => tell(""));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim()) submit(box.chosen?.symbol ?? input.value.trim());
  });
}
