// What is drawn of a run while it trains: curves over updates, and pictures as they fill in.
// Says nothing to the server: live.js hands on what its stream brings, as the event "drawn".

const HUES = 6;
const MOST_LINES = 120;
const MOST_PICTURES = 96;
const HEIGHT = 200;
const EDGE = { left: 52, right: 10, top: 8, bottom: 36 };
const lines = new Map();
let pictures = [];
const opened = new Set();

function made(name, attributes = {}, words = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = words;
  return node;
}

function element(name, className = "", words = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.textContent = words;
  return node;
}

function written(value) {
  if (value === null) return words("not finite");
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e5) {
    const [digits, power] = value.toExponential(1).split("e");
    const raised = [...String(Number(power))].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
    const factor = Number(digits) === 1 ? "" : `${Number(digits)}·`;
    return `${factor}10${raised.join("")}`;
  }
  return String(Number(value.toPrecision(3)));
}

// A scale: where a value lies between 0 and 1, and the values that are marked.
function scale(low, high, logarithmic) {
  // Updates begin at 0, so what is logarithmic in them is their number and one.
  const shift = logarithmic && low === 0 ? 1 : 0;
  const bent = (value) => (logarithmic ? Math.log10(value + shift) : value);
  const span = bent(high) - bent(low) || 1;
  const place = (value) => (bent(value) - bent(low)) / span;
  const marks = logarithmic ? decades(low, high, shift) : rounds(low, high);
  return { place, marks: marks.filter((mark) => mark >= low && mark <= high) };
}

function decades(low, high, shift) {
  const first = shift ? 0 : Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const far = last - first;
  const digits = far > 2 ? [1] : [1, 2, 5];
  const every = Math.ceil(far / 6);
  const found = shift ? [0] : [];
  for (let power = first; power <= last; power += every)
    for (const digit of digits) found.push(Number(`${digit}e${power}`));
  return found;
}

function rounds(low, high) {
  const rough = (high - low || Math.abs(high) || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((digit) => digit * power >= rough) * power;
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1)
    found.push(Number((i * step).toPrecision(12)));
  return found;
}

function extent(shown) {
  let [low, high] = [Infinity, -Infinity];
  for (const { points } of shown)
    for (const [, value] of points)
      if (value !== null) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low > high) return [0, 1, false];
  if (low > 0 && high > 20 * low) return [low, high, true];
  return low === high ? [low - 0.5, high + 0.5, false] : [low, high, false];
}

function path(points, x, y) {
  let [words, pen] = ["", "M"];
  for (const [step, value] of points) {
    if (value === null) pen = "M";
    else {
      words += `${pen}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    }
  }
  return words;
}

// Colours by line: the last training's, or those of several while each has a single line.
function coloured(shown) {
  const trainings = [...grouped(shown, ({ about }) => about.training).values()];
  const singly = trainings.every((mine) => mine.length === 1);
  const order = singly ? shown : trainings.at(-1);
  const hues = order.map((line, i) => [line, i % HUES]);
  return new Map(hues.slice(-HUES));
}

function chart(shown, width) {
  const { about } = shown.at(-1);
  const steps = Math.max(1, ...shown.map((line) => line.about.steps));
  const [low, high, logarithmic] = extent(shown);
  const across = scale(0, steps, steps >= 50);
  const up = scale(low, high, logarithmic);
  const x = (step) => EDGE.left + across.place(step) * (width - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - up.place(value) * (HEIGHT - EDGE.top - EDGE.bottom);
  const what = about.units === "1" ? about.says : `${about.says} (${about.units})`;
  const newest = shown.at(-1).points.at(-1)[1];
  const label = words("%(what)s over updates; newest value %(value)s", { what, value: written(newest) });
  const svg = made("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label });
  for (const mark of up.marks) {
    svg.append(made("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(mark), y2: y(mark) }));
    svg.append(made("text", { x: EDGE.left - 6, y: y(mark) + 4, "text-anchor": "end" }, written(mark)));
  }
  const base = HEIGHT - EDGE.bottom;
  svg.append(made("line", { class: "axis", x1: EDGE.left, x2: width - EDGE.right, y1: base, y2: base }));
  let end = 0;
  for (const mark of across.marks) {
    svg.append(made("line", { class: "axis", x1: x(mark), x2: x(mark), y1: base, y2: base + 4 }));
    if (x(mark) - end < 26) continue;
    end = x(mark);
    svg.append(made("text", { x: end, y: base + 17, "text-anchor": "middle" }, written(mark)));
  }
  svg.append(made("text", { x: width - EDGE.right, y: HEIGHT - 3, "text-anchor": "end" }, words("updates")));
  const bright = coloured(shown);
  const order = [...shown.filter((line) => !bright.has(line)), ...bright.keys()];
  for (const line of order) {
    const arm = line.about.arm === "control" ? " control" : "";
    const kind = bright.has(line) ? `hue-${bright.get(line)}` : "past";
    svg.append(made("path", { class: `curve ${kind}${arm}`, d: path(line.points, x, y) }));
  }
  const figure = element("figure");
  figure.append(element("figcaption", "", what), svg, legend(bright));
  return figure;
}

function legend(bright) {
  const list = element("ul");
  for (const [line, hue] of bright) {
    const arm = line.about.arm === "control" ? " control" : "";
    const key = made("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" });
    key.append(made("path", { class: `curve hue-${hue}${arm}`, d: "M1 4H21" }));
    const parts = [line.about.arm === "control" ? words("control") : "", line.about.name];
    const item = element("li");
    const said = parts.filter(Boolean).join(", ");
    item.append(key, said ? `${said}: ` : "", element("b", "", written(line.points.at(-1)[1])));
    list.append(item);
  }
  return list;
}

function frames(shown) {
  const steps = [...new Set(shown.map((picture) => picture.step))].sort((a, b) => a - b);
  const rows = new Map();
  for (const picture of shown) {
    const arm = picture.about.arm === "control" ? words("control") : "";
    const name = [arm, picture.about.name].filter(Boolean).join(", ");
    const key = `${picture.about.training}`;
    if (!rows.has(key)) rows.set(key, { name, at: new Map() });
    rows.get(key).at.set(picture.step, picture.url);
  }
  const table = element("table");
  const head = element("tr");
  head.append(element("th", "", words("updates")), ...steps.map((step) => element("td", "", written(step))));
  table.append(head);
  for (const { name, at } of rows.values()) {
    const row = element("tr");
    const title = element("th", "", name);
    title.scope = "row";
    row.append(title);
    for (const step of steps) {
      const cell = element("td");
      if (at.has(step)) {
        const image = element("img");
        image.src = at.get(step);
        image.alt = words("%(name)s after %(step)s updates", { name, step });
        cell.append(image);
      }
      row.append(cell);
    }
    table.append(row);
  }
  const box = element("div", "frames");
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", words("Pictures drawn"));
  box.append(table);
  return box;
}

function grouped(items, key) {
  const found = new Map();
  for (const item of items) {
    const name = key(item);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(item);
  }
  return found;
}

function draw(section) {
  const place = section.querySelector("[data-panels]");
  section.hidden = lines.size + pictures.length === 0;
  if (section.hidden) return;
  const wide = place.clientWidth;
  const experiments = grouped(lines.values(), (line) => line.about.experiment);
  const strips = grouped(pictures, (picture) => picture.about.experiment);
  const parts = [];
  // What trains now comes first; what did before can be opened.
  const names = [...new Set([...experiments.keys(), ...strips.keys()])].reverse();
  for (const [i, name] of names.entries()) {
    const panels = [...grouped(experiments.get(name) ?? [], (line) => line.about.quantity)];
    panels.sort(([one], [other]) => (other === "loss") - (one === "loss"));
    const box = element("div", "panels");
    const width = wide > 720 && panels.length > 1 ? Math.floor((wide - 40) / 2) : Math.min(wide, 640);
    box.append(...panels.map(([, shown]) => chart(shown, width)));
    const title = name.replaceAll("-", " ");
    const part = element(i ? "details" : "div");
    part.append(element(i ? "summary" : "h3", "", title), box);
    if (strips.has(name)) part.append(frames(strips.get(name)));
    if (i) {
      part.open = opened.has(name);
      part.addEventListener("toggle", () => (part.open ? opened.add(name) : opened.delete(name)));
    }
    parts.push(part);
  }
  // Drawn anew, a strip would jump back to its first pictures.
  const far = [...place.querySelectorAll(".frames")].map((strip) => strip.scrollLeft);
  place.replaceChildren(...parts);
  [...place.querySelectorAll(".frames")].forEach((strip, i) => { strip.scrollLeft = far[i] ?? 0; });
}

function take(news) {
  if (news.whole) {
    lines.clear();
    pictures = [];
  }
  for (const { line, about, points } of news.lines) {
    if (about) lines.set(line, { about, points: [] });
    lines.get(line)?.points.push(...points);
  }
  pictures = [...pictures, ...news.pictures].slice(-MOST_PICTURES);
  for (const old of [...lines.keys()].slice(0, -MOST_LINES)) lines.delete(old);
}

for (const section of document.querySelectorAll("[data-drawn]")) {
  let due = false;
  const soon = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      draw(section);
    });
  };
  document.addEventListener("drawn", (event) => {
    take(event.detail);
    soon();
  });
  window.addEventListener("resize", soon);
}
