// The samples of the page, counted from 0 in the order of their suspicion. Shares are per mille.
const data = JSON.parse(document.getElementById("data").textContent);
const classes = data.class_names;
const COLORS = ["#8a94a3", "#e0a100", "#3b76d6", "#e2711d", "#7b4fc9", "#4d9a3a", "#cc3333", "#0f9b9b", "#c2488f"];

const color = (label) => COLORS[label % COLORS.length];
const largest = (values) => values.indexOf(Math.max(...values));
const share = (perMille) => (perMille / 1000).toFixed(2);
const percent = (perMille) => (perMille / 10).toFixed(perMille < 100 ? 1 : 0) + " %";
const picture = (sample) => "data:image/jpeg;base64," + data.pictures[sample];

// What the network would call it.
const suggested = data.probability.map(largest);

// name -> how doubtful each sample is; samples are ranked by one of them.
const rankings = {
  suspicion: {
    text: "suspicion, strongest other class against the given label",
    value: (i) => data.suspicion[i],
  },
  probability: {
    text: "1 - p of the given label",
    value: (i) => 1000 - data.probability[i][data.given[i]],
  },
  margin: {
    text: "p of suggested - p of given",
    value: (i) => data.probability[i][suggested[i]] - data.probability[i][data.given[i]],
  },
};
if (data.target) {
  rankings.uncertainty = { text: "λ, uncertainty", value: (i) => data.uncertainty[i] };
  rankings.target = {
    text: "1 - d of the given label",
    value: (i) => 1000 - data.target[i][data.given[i]],
  };
}

function element(name, properties = {}, ...children) {
  const { style, data: attributes, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  Object.assign(made.style, style);
  Object.assign(made.dataset, attributes);
  made.append(...children);
  return made;
}
