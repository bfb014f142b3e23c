// The inbox: marking one as read without leaving the page. Without a script the form does it.
import { complain } from "./toast.js";
import { oneLess } from "./unread.js";

document.addEventListener("submit", async (event) => {
  if (!event.target.matches("[data-read]")) return;
  event.preventDefault();
  const form = event.target;
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form) }).catch(() => null);
  if (!answer?.ok) return complain("Not marked as read: the server did not answer.");
  const line = form.closest("[data-note]");
  line.classList.remove("is-unread");
  line.querySelector(".inbox-link").focus();
  form.nextElementSibling?.remove();
  form.remove();
  oneLess();
});
