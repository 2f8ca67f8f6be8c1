// Which samples are shown, in which order.
const field = (id) => document.getElementById(id);

function fillFilters() {
  for (const [name, { text }] of Object.entries(rankings)) {
    field("rank").append(element("option", { value: name }, text));
  }
  for (const id of ["given", "suggested"]) {
    field(id).append(element("option", { value: "" }, "any"));
    classes.forEach((name, label) => field(id).append(element("option", { value: label }, name)));
  }
}

function shownSamples() {
  const [given, suggestion, status] = ["given", "suggested", "status"].map((id) => field(id).value);
  const text = field("search").value.toLowerCase();
  const { value } = rankings[field("rank").value];
  const fits = (i) => {
    const kind = review.of(i)?.kind;
    return (
      (given === "" || data.given[i] === +given) &&
      (suggestion === "" || suggested[i] === +suggestion) &&
      (status === "" || status === kind || status === (kind ? "done" : "open")) &&
      (text === "" || data.path[i].toLowerCase().includes(text))
    );
  };
  const shown = [];
  for (let i = 0; i < data.listed; i += 1) if (fits(i)) shown.push(i);
  return shown.sort((a, b) => value(b) - value(a) || a - b);
}

function drawConfusion(changed) {
  const counts = classes.map(() => classes.map(() => 0));
  for (let i = 0; i < data.listed; i += 1) counts[data.given[i]][suggested[i]] += 1;
  const most = Math.max(1, ...counts.flatMap((row, j) => row.filter((_, k) => j !== k)));
  const chosen = field("given").value + ">" + field("suggested").value;
  const cell = (count, row, column) => {
    const share = Math.min(1, Math.sqrt(count / most));
    const pair = row + ">" + column;
    const button = element("button", {
      title: `given ${classes[row]}, suggested ${classes[column]}: ${count}`,
      className: pair === chosen ? "chosen" : "",
      data: { pair },
      style: {
        background: row === column ? "#cfd6df" : `rgb(255, ${235 - 120 * share}, ${225 - 170 * share})`,
      },
      onclick: () => {
        const same = pair === chosen;
        field("given").value = same ? "" : row;
        field("suggested").value = same ? "" : column;
        changed();
      },
    }, count || "");
    return element("td", {}, button);
  };
  const short = (name) => element("th", { title: name }, name.slice(0, 3));
  const dot = (label) => element("span", { className: "dot", style: { background: color(label) } });
  field("confusion").replaceChildren(
    element("tr", {}, element("th"), ...classes.map(short)),
    ...counts.map((row, j) =>
      element("tr", {}, element("th", {}, classes[j] + " ", dot(j)), ...row.map((count, k) => cell(count, j, k)))),
  );
}
