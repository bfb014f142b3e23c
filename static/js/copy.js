// A button that copies a field's text. Where the clipboard is closed (plain HTTP), the text is left selected.
import { complain, toast } from "./toast.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      toast("Copied");
    } catch {
      complain("Press Ctrl-C to copy the selected text");
    }
  });
}
