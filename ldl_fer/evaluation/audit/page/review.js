// Decisions, by row of the CSV: {kind: "kept" | "relabeled" | "dropped", label}. All of them can
// be undone; they outlive the page in this browser's storage.
const review = {
  store: "ldl_fer audit " + data.fingerprint,
  decisions: new Map(),
  history: [],

  load() {
    try {
      this.decisions = new Map(JSON.parse(localStorage.getItem(this.store) || "[]"));
    } catch {
      this.decisions = new Map(); // no storage here: decisions live as long as the page
    }
  },

  save() {
    try {
      localStorage.setItem(this.store, JSON.stringify([...this.decisions]));
    } catch {
      // as above
    }
  },

  of(sample) {
    return this.decisions.get(data.row[sample]);
  },

  decide(sample, kind, label = data.given[sample]) {
    if (kind === "relabeled" && label === data.given[sample]) kind = "kept";
    const row = data.row[sample];
    this.history.push([row, this.decisions.get(row)]);
    this.decisions.set(row, { kind, label });
    this.save();
  },

  // Returns the sample whose decision was taken back, or undefined.
  undo() {
    if (!this.history.length) return undefined;
    const [row, before] = this.history.pop();
    if (before) this.decisions.set(row, before);
    else this.decisions.delete(row);
    this.save();
    return data.row.indexOf(row);
  },

  counts() {
    const counts = { kept: 0, relabeled: 0, dropped: 0 };
    for (const { kind } of this.decisions.values()) counts[kind] += 1;
    return counts;
  },

  // The whole annotation file, with the class number of each row put where the file has it.
  csv() {
    const lines = [data.csv_header];
    data.csv_lines.forEach((line, row) => {
      const decision = this.decisions.get(row);
      if (decision?.kind === "dropped") return;
      const label = decision ? decision.label : data.csv_labels[row];
      lines.push(`${line.replace("\u0002", label)},${data.csv_labels[row]},${decision?.kind ?? ""}`);
    });
    return lines.join("\n") + "\n";
  },

  download() {
    const url = URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" }));
    element("a", { href: url, download: data.csv_name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  },
};
