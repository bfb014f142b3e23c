// The what-if form answers as it is filled in: the page is asked for itself with the new numbers.
const form = document.querySelector("[data-whatif]");
const answer = document.querySelector("[data-answer]");
const PAUSE_MS = 300;
const STEPS = 1000;
let timer = 0;
let asked = 0;

async function ask() {
  const mine = ++asked;
  const address = `?${new URLSearchParams(new FormData(form))}`;
  answer.classList.add("is-old");
  const page = await fetch(address).then((found) => (found.ok ? found.text() : null)).catch(() => null);
  if (mine !== asked || page === null) return;
  const found = new DOMParser().parseFromString(page, "text/html").querySelector("[data-answer]");
  if (!found) return;
  answer.replaceChildren(...found.childNodes);
  answer.classList.remove("is-old");
  history.replaceState(null, "", address);
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
}

// From a number to the place of the slider and back; many thousands need a logarithm.
function scaleOf(field) {
  const [least, most, step] = [Number(field.min), Number(field.max), Number(field.step) || 1];
  if (field.dataset.slider !== "log") return { least, most, step, place: (value) => value, value: (place) => place };
  const span = Math.log(most / least);
  return {
    least: 0,
    most: STEPS,
    step: 1,
    place: (value) => Math.round((STEPS * Math.log(Math.max(value, least) / least)) / span),
    value: (place) => rounded(least * Math.exp((span * place) / STEPS)),
  };
}

function rounded(value) {
  const digits = 10 ** Math.max(Math.floor(Math.log10(value)) - 1, 0);
  return Math.round(value / digits) * digits;
}

for (const field of form.querySelectorAll("[data-slider]")) {
  const scale = scaleOf(field);
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", className: "slider", min: scale.least, max: scale.most, step: scale.step });
  slider.value = scale.place(Number(field.value));
  slider.setAttribute("aria-label", form.querySelector(`label[for=${field.id}]`).textContent);
  slider.addEventListener("input", () => {
    field.value = scale.value(Number(slider.value));
  });
  field.addEventListener("input", () => {
    slider.value = scale.place(Number(field.value));
  });
  field.after(slider);
}

form.addEventListener("input", soon);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
