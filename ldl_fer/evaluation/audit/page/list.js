// The ranked list. Only the rows in sight exist, so that its length costs nothing.
const ROW_HEIGHT = 64;
const list = {
  shown: [],
  selected: undefined, // a sample
  onSelect: () => {},

  show(samples) {
    this.shown = samples;
    field("spacer").style.height = samples.length * ROW_HEIGHT + "px";
    field("shown").textContent =
      `${samples.length.toLocaleString()} of ${data.listed.toLocaleString()} pictures`;
    this.draw();
  },

  draw() {
    const pane = field("list");
    const first = Math.max(0, Math.floor(pane.scrollTop / ROW_HEIGHT) - 3);
    const last = Math.min(this.shown.length, first + Math.ceil(pane.clientHeight / ROW_HEIGHT) + 6);
    const rows = this.shown.slice(first, last).map((sample, k) => this.row(sample, first + k));
    pane.querySelectorAll(".row").forEach((row) => row.remove());
    pane.append(...rows);
  },

  row(sample, place) {
    const decision = review.of(sample);
    const value = rankings[field("rank").value].value(sample);
    const verdict = decision
      ? element("b", { className: decision.kind },
          decision.kind + (decision.kind === "relabeled" ? ` ${classes[decision.label]}` : ""))
      : "";
    const other = suggested[sample] === data.given[sample] ? "" : ` → ${classes[suggested[sample]]}`;
    return element("div", {
      className: "row", role: "option", data: { sample }, ariaSelected: sample === this.selected,
      style: { top: place * ROW_HEIGHT + "px" },
      onclick: () => this.select(sample),
    },
      element("img", { src: picture(sample), alt: "" }),
      element("div", {}, element("b", {}, classes[data.given[sample]]), other, " ", verdict,
        element("small", { title: data.path[sample] }, `${place + 1}. ${data.path[sample]}`)),
      element("div", {}, element("span", { className: "bar", style: { width: value / 18 + "px" } }),
        element("small", {}, percent(value)),
        element("small", { title: "the network's probability of the given label; uncertainty" },
          `p ${share(data.probability[sample][data.given[sample]])}` +
          (data.target ? ` λ ${share(data.uncertainty[sample])}` : ""))));
  },

  select(sample) {
    this.selected = sample;
    const place = this.shown.indexOf(sample), pane = field("list");
    if (place >= 0) {
      const top = place * ROW_HEIGHT;
      if (top < pane.scrollTop) pane.scrollTop = top;
      const bottom = top + ROW_HEIGHT - pane.clientHeight;
      if (bottom > pane.scrollTop) pane.scrollTop = bottom;
    }
    this.draw();
    this.onSelect();
  },

  move(step) {
    if (!this.shown.length) return;
    const place = this.shown.indexOf(this.selected) + step;
    this.select(this.shown[Math.max(0, Math.min(this.shown.length - 1, place))]);
  },
};
