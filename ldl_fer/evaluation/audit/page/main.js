// Wires the parts: filters choose, the list ranks, the detail decides, keys do all of it.
function refilter() {
  const place = list.shown.indexOf(list.selected);
  const shown = shownSamples();
  list.show(shown);
  plane.show(shown);
  if (!shown.includes(list.selected)) {
    list.selected = shown[Math.max(0, Math.min(place, shown.length - 1))];
  }
  drawConfusion(refilter);
  list.select(list.selected);
  drawProgress();
}

function drawProgress() {
  const counts = review.counts(), done = counts.kept + counts.relabeled + counts.dropped;
  field("progress").textContent = `${done.toLocaleString()} reviewed: ${counts.kept} kept, ` +
    `${counts.relabeled} relabeled, ${counts.dropped} dropped`;
  field("undo").disabled = !review.history.length;
}

function decide(sample, kind, label) {
  if (sample === undefined) return;
  const place = list.shown.indexOf(sample);
  review.decide(sample, kind, label);
  if (field("status").value) {
    refilter();
  } else {
    list.select(list.shown[Math.min(place + 1, list.shown.length - 1)] ?? sample);
    drawProgress();
  }
}

function undo() {
  const sample = review.undo();
  if (sample === undefined) return;
  if (field("status").value) refilter();
  list.select(sample);
  drawProgress();
}

const KEYS = [
  ["↓ ↑, J", "next, previous picture", { ArrowDown: () => list.move(1), j: () => list.move(1), ArrowUp: () => list.move(-1) }],
  ["Page ↓ ↑", "ten further, ten back", { PageDown: () => list.move(10), PageUp: () => list.move(-10) }],
  ["K", "keep the given label", { k: () => decide(list.selected, "kept") }],
  ["R", "relabel as suggested", { r: () => decide(list.selected, "relabeled", suggested[list.selected]) }],
  [`1 to ${Math.min(9, classes.length)}`, "relabel as that class", Object.fromEntries(classes.slice(0, 9)
    .map((_, label) => [`${label + 1}`, () => decide(list.selected, "relabeled", label)]))],
  ["D", "drop the picture", { d: () => decide(list.selected, "dropped") }],
  ["U", "undo", { u: undo }],
  ["?", "this help", { "?": () => field("help").showModal() }],
];
const actions = Object.assign({}, ...KEYS.map(([, , handlers]) => handlers));

document.onkeydown = (event) => {
  const typing = ["INPUT", "SELECT"].includes(document.activeElement?.tagName);
  if (typing || field("help").open || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
};

review.load();
fillFilters();
field("title").textContent = data.title;
document.title = data.title;
field("keys").append(...KEYS.flatMap(([key, text]) => [element("dt", {}, key), element("dd", {}, text)]));
for (const id of ["rank", "given", "suggested", "status"]) {
  field(id).onchange = () => {
    field(id).blur(); // keys are for the pictures again
    if (id === "rank") list.selected = undefined; // from the top
    refilter();
  };
}
field("search").oninput = refilter;
field("undo").onclick = undo;
field("download").onclick = () => review.download();
field("help-button").onclick = () => field("help").showModal();
field("list").onscroll = () => requestAnimationFrame(() => list.draw());
onresize = () => list.draw();
const select = (sample) => list.select(sample);
list.onSelect = () => {
  drawDetail(list.selected, decide, select);
  plane.draw(list.selected);
};
plane.listen(select);
refilter();
