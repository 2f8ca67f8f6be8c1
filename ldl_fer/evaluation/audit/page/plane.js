// The valence-arousal plane: a point for each shown sample; the nearest one answers the mouse.
const plane = {
  canvas: field("plane"),
  shown: [],
  base: undefined, // all points, painted once per filter

  place([valence, arousal]) {
    const half = this.canvas.width / 2;
    return [half + valence * (half - 8), half - arousal * (half - 8)];
  },

  show(samples) {
    this.shown = samples.filter((sample) => data.valence_arousal[sample]);
    this.base = undefined;
  },

  draw(selected) {
    const context = this.canvas.getContext("2d"), side = this.canvas.width;
    if (!this.base) {
      context.clearRect(0, 0, side, side);
      context.strokeStyle = "#9aa6b5";
      context.strokeRect(side / 2, 0, 0, side);
      context.strokeRect(0, side / 2, side, 0);
      context.globalAlpha = this.shown.length > 2000 ? 0.5 : 0.9;
      for (const sample of this.shown) {
        const [x, y] = this.place(data.valence_arousal[sample]);
        context.fillStyle = color(data.given[sample]);
        context.fillRect(x - 1.5, y - 1.5, 3, 3);
      }
      context.globalAlpha = 1;
      this.base = context.getImageData(0, 0, side, side);
    }
    context.putImageData(this.base, 0, 0);
    if (data.valence_arousal[selected]) {
      const [x, y] = this.place(data.valence_arousal[selected]);
      context.strokeStyle = "#1f5fbf";
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x, y, 6, 0, 2 * Math.PI);
      context.stroke();
      context.lineWidth = 1;
    }
  },

  // The shown sample within 10 pixels of the mouse, or undefined.
  under(event) {
    const frame = this.canvas.getBoundingClientRect();
    let nearest, least = 100;
    for (const sample of this.shown) {
      const [x, y] = this.place(data.valence_arousal[sample]);
      const distance = (x - event.clientX + frame.left) ** 2 + (y - event.clientY + frame.top) ** 2;
      if (distance < least) [nearest, least] = [sample, distance];
    }
    return nearest;
  },

  listen(select) {
    const hover = field("hover");
    this.canvas.onmousemove = (event) => {
      const sample = this.under(event);
      hover.hidden = sample === undefined;
      if (hover.hidden) return;
      hover.querySelector("img").src = picture(sample);
      hover.querySelector("span").textContent =
        `${classes[data.given[sample]]} → ${classes[suggested[sample]]}`;
      hover.style.left = event.clientX + 14 + "px";
      hover.style.top = Math.min(event.clientY + 14, innerHeight - 140) + "px";
    };
    this.canvas.onmouseleave = () => { hover.hidden = true; };
    this.canvas.onclick = (event) => {
      const sample = this.under(event);
      if (sample !== undefined) select(sample);
    };
  },
};
