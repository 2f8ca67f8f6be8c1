// Everything known of the selected picture, and the buttons that decide on it.
function drawDetail(sample, decide, select) {
  if (sample === undefined) {
    field("detail").replaceChildren(element("p", {}, "No picture fits the filters."));
    return;
  }
  const given = data.given[sample], suggestion = suggested[sample];
  const lines = [
    ["Given", classes[given]],
    ["Suggested", suggestion === given ? "the same" : classes[suggestion]],
    ["p of the given label", percent(data.probability[sample][given])],
    ...(data.target ? [["Uncertainty λ", share(data.uncertainty[sample])]] : []),
    ["Valence, arousal",
      data.valence_arousal[sample]?.map((x) => x.toFixed(2)).join(", ") ?? "not known"],
  ];
  const facts = element("table", {}, ...lines.map(([name, text]) =>
    element("tr", {}, element("th", {}, name), element("td", {}, text))));
  const decision = review.of(sample);
  const chosen = (kind, label) =>
    decision?.kind === kind && (kind !== "relabeled" || decision.label === label);
  const action = (name, kind, label, hint) => element("button", {
    title: hint, className: chosen(kind, label) ? "primary" : label === suggestion ? "suggested" : "",
    data: { action: kind + (label ?? "") }, onclick: () => decide(sample, kind, label),
  }, name);
  field("detail").replaceChildren(
    element("div", { className: "head" },
      element("img", { className: "face", src: picture(sample), alt: "the selected picture" }), facts),
    element("p", { className: "path" }, data.path[sample]),
    element("div", { className: "actions" },
      action("Keep", "kept", undefined, "K"),
      action("Drop", "dropped", undefined, "D"),
      ...classes.map((name, label) =>
        action(`${label + 1} ${name}`, "relabeled", label, label === suggestion ? "R" : `${label + 1}`))),
    distributions(sample),
    ...(data.neighbors ? [element("h2", {}, "Neighbors in the valence-arousal plane"),
      neighborCards(sample, select)] : []),
  );
}

function distributions(sample) {
  const columns = [["network", data.probability[sample]]];
  if (data.target) {
    columns.push(["neighbors d~", data.aggregated[sample]], ["constructed d", data.target[sample]]);
  }
  const bar = (value, label) => element("td", { className: "distribution", title: percent(value) },
    element("span", { className: "bar", style: { width: value / 10 * 0.7 + "%", background: color(label) } }),
    " " + percent(value));
  return element("table", {},
    element("tr", {}, element("th"), ...columns.map(([name]) => element("th", {}, name))),
    ...classes.map((name, label) => element("tr", {},
      element("td", {}, label === data.given[sample] ? element("b", {}, name) : name),
      ...columns.map(([, values]) => bar(values[label], label)))));
}

// Figure 4: what each neighbor contributes, c = ζ s.
function neighborCards(sample, select) {
  const most = Math.max(1, ...data.contribution[sample]);
  return element("div", { className: "neighbors" }, ...data.neighbors[sample].map((other, k) => {
    const contribution = data.contribution[sample][k], calibration = data.calibration[sample][k];
    const similarity = calibration ? contribution / calibration : 0;
    return element("button", {
      className: "neighbor", data: { neighbor: other }, onclick: () => select(other),
      title: `${data.path[other]}\ncontribution c = ζ s`,
    },
      element("img", { src: picture(other), alt: "" }), element("br"),
      element("b", {}, classes[data.given[other]]), element("br"),
      element("span", { className: "bar", style: { width: contribution / most * 60 + "px" } }), element("br"),
      `c ${share(contribution)}`, element("br"),
      `ζ ${share(calibration)} s ${similarity.toFixed(2)}`);
  }));
}
