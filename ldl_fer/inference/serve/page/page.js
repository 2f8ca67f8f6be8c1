"use strict";
const at = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const percent = (share) => `${Math.round(100 * share)} %`;

async function predict(files) {
  at("status").textContent = "Looking …";
  const form = new FormData();
  for (const file of files) form.append("picture", file, file.name || "camera");
  let found;
  try {
    const response = await fetch("predict", { method: "POST", body: form });
    found = await response.json();
  } catch (error) {
    found = { error: `no answer: ${error.message}` };
  }
  at("status").textContent = found.error || "";
  at("results").replaceChildren();
  for (const [number, picture] of (found.pictures || []).entries())
    at("results").append(await shown(files[number], picture));
}

async function shown(file, picture) {
  const part = element("section", {}, element("h2", { textContent: picture.name }));
  if (picture.error) {
    part.append(element("p", { className: "error", textContent: picture.error }));
    return part;
  }
  part.append(await drawn(file, picture));
  if (!picture.faces.length) part.append(element("p", { textContent: "No face was found." }));
  part.append(...picture.faces.map(described));
  return part;
}

async function drawn(file, picture) {
  const canvas = element("canvas", { width: picture.width, height: picture.height });
  const pen = canvas.getContext("2d");
  try {
    pen.drawImage(await createImageBitmap(file), 0, 0, picture.width, picture.height);
  } catch {
    // a format that this browser cannot show, such as TIFF: the boxes alone
  }
  pen.lineWidth = Math.max(2, picture.width / 300);
  pen.font = `${Math.max(12, picture.width / 40)}px sans-serif`;
  for (const [number, face] of picture.faces.entries()) {
    const [x, y, width, height] = face.box;
    pen.strokeStyle = pen.fillStyle = face.ambiguous ? "#f0a030" : "#30a0ff";
    pen.strokeRect(x, y, width, height);
    pen.fillText(String(number + 1), x + pen.lineWidth, y - pen.lineWidth);
  }
  return canvas;
}

function described(face, number) {
  const text = `${number + 1}: ${face.leading}, ${percent(face.confidence)}`;
  const part = element("div", { className: "face" }, element("h2", { textContent: text }));
  if (face.ambiguous) {
    const reasons = {
      margin: `${face.leading} and ${face.runner_up} are nearly as probable`,
      confidence: "no class is probable enough",
    };
    const why = face.doubts.map((doubt) => reasons[doubt]).join("; ");
    part.append(element("p", { className: "ambiguous", textContent: `Ambiguous: ${why}.` }));
  }
  const bars = element("div", { className: "bars" });
  for (const [name, share] of Object.entries(face.distribution)) {
    bars.append(
      element("span", { textContent: name }),
      element("meter", { value: share, max: 1, title: percent(share) }),
      element("span", { textContent: percent(share) }),
    );
  }
  part.append(bars);
  if (face.valence !== null) part.append(plane(face));
  return part;
}

function plane({ valence, arousal }) {
  const space = "http://www.w3.org/2000/svg";
  const graph = document.createElementNS(space, "svg");
  graph.setAttribute("viewBox", "-1.3 -1.3 2.6 2.6");
  const add = (name, attributes, text = "") => {
    const made = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    graph.append(made);
  };
  const line = { class: "frame", "stroke-width": 0.02 };
  add("circle", { ...line, r: 1 });
  add("path", { ...line, d: "M-1 0H1M0 -1V1" });
  add("circle", { class: "point", cx: valence, cy: -arousal, r: 0.08 });
  add("title", {}, `valence ${valence.toFixed(2)}, arousal ${arousal.toFixed(2)}`);
  return graph;
}

at("files").addEventListener("change", (event) => predict([...event.target.files]));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) predict([...event.dataTransfer.files]);
  });
}

at("camera").addEventListener("click", async () => {
  try {
    at("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    at("video").hidden = at("shoot").hidden = false;
  } catch (error) {
    at("status").textContent = `No camera: ${error.message}`;
  }
});

at("shoot").addEventListener("click", () => {
  const { videoWidth: width, videoHeight: height } = at("video");
  const canvas = element("canvas", { width, height });
  canvas.getContext("2d").drawImage(at("video"), 0, 0);
  canvas.toBlob((blob) => predict([blob]), "image/jpeg", 0.95);
});
