// The entries of the search list.
export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

export function option({ symbol, name, exchange }, id) {
  const row = element("div", "result");
  row.id = id;
  row.setAttribute("role", "option");
  row.append(element("span", "symbol", symbol), element("span", "result-name", name), element("span", "result-exchange small muted", exchange));
  return row;
}
