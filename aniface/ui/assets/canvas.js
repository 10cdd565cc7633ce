// The face map's canvas. State is one byte a pixel (a class id); what is on screen is only its picture.
const LABELS = __LABELS__;
const SIZE = __SIZE__;
const STEPS = 100; // undo depth
const CLOSEST = 8; // largest zoom

const canvas = element.querySelector("canvas");
const cursor = element.querySelector(".cursor");
const sheet = element.querySelector(".sheet");
const paper = element.querySelector(".paper");
const palette = element.querySelector(".palette");
const slider = element.querySelector(".size input");
const context = canvas.getContext("2d");
canvas.width = canvas.height = SIZE;

const colours = new Uint32Array(LABELS.map(({ colour }) => {
  const rgb = parseInt(colour.slice(1), 16); // 0xrrggbb -> little endian 0xaabbggrr
  return 0xff000000 | ((rgb & 255) << 16) | (rgb & 0xff00) | (rgb >> 16);
}).map((value) => value >>> 0));
const image = context.createImageData(SIZE, SIZE);
const pixels = new Uint32Array(image.data.buffer);

let ids = new Uint8Array(SIZE * SIZE);
let label = 5, tool = "brush", mirror = false, zoom = 1, ink = 0;
let undone = [], done = [], before = null, from = null, last = null;

// --- the text form: base64 of runs (1 byte id, 2 bytes length) ---

function encode() {
  const bytes = [];
  for (let start = 0; start < ids.length;) {
    let end = start + 1;
    while (end < ids.length && ids[end] === ids[start] && end - start < 65535) end++;
    bytes.push(ids[start], (end - start) & 255, (end - start) >> 8);
    start = end;
  }
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.slice(i, i + 8192));
  return btoa(text);
}

function decode(text) {
  const bytes = atob(text), result = new Uint8Array(SIZE * SIZE);
  for (let i = 0, at = 0; i + 2 < bytes.length; i += 3) {
    const length = bytes.charCodeAt(i + 1) | (bytes.charCodeAt(i + 2) << 8);
    result.fill(bytes.charCodeAt(i), at, at + length);
    at += length;
  }
  return result;
}

// --- drawing ---

function show() {
  for (let i = 0; i < ids.length; i++) pixels[i] = colours[ids[i]];
  context.putImageData(image, 0, 0);
}

function span(y, left, right) {
  if (y < 0 || y >= SIZE) return;
  left = Math.max(0, left);
  right = Math.min(SIZE - 1, right);
  if (left <= right) ids.fill(ink, y * SIZE + left, y * SIZE + right + 1);
}

function ellipse(cx, cy, rx, ry) {
  for (let dy = -Math.floor(ry); dy <= ry; dy++) {
    const half = Math.floor(rx * Math.sqrt(Math.max(0, 1 - (dy * dy) / (ry * ry || 1))));
    span(cy + dy, cx - half, cx + half);
  }
}

function stroke(a, b, radius) {
  const steps = Math.max(Math.abs(b.x - a.x), Math.abs(b.y - a.y), 1);
  for (let i = 0; i <= steps; i++) {
    ellipse(Math.round(a.x + ((b.x - a.x) * i) / steps), Math.round(a.y + ((b.y - a.y) * i) / steps), radius, radius);
  }
}

function fill({ x, y }) {
  const old = ids[y * SIZE + x];
  if (old === ink) return;
  const stack = [y * SIZE + x];
  while (stack.length) {
    let at = stack.pop();
    const row = at - (at % SIZE);
    while (at > row && ids[at - 1] === old) at--;
    for (let up = false, down = false; at < row + SIZE && ids[at] === old; at++) {
      ids[at] = ink;
      const above = at >= SIZE && ids[at - SIZE] === old, below = at + SIZE < ids.length && ids[at + SIZE] === old;
      if (above && !up) stack.push(at - SIZE);
      if (below && !down) stack.push(at + SIZE);
      up = above;
      down = below;
    }
  }
}

const mirrored = (p) => ({ x: SIZE - 1 - p.x, y: p.y });
function both(draw, ...points) {
  draw(...points);
  if (mirror) draw(...points.map(mirrored));
}

function apply(point) {
  const radius = +slider.value;
  if (tool === "brush" || tool === "eraser") both((a, b) => stroke(a, b, radius), last, point);
  if (tool === "fill" && point === from) both(fill, point);
  if (tool === "line" || tool === "ellipse") {
    ids.set(before); // the shape follows the pointer: start again from what was there
    if (tool === "line") both((a, b) => stroke(a, b, radius), from, point);
    else both((a, b) => ellipse(Math.round((a.x + b.x) / 2), Math.round((a.y + b.y) / 2), Math.abs(a.x - b.x) / 2, Math.abs(a.y - b.y) / 2), from, point);
  }
  last = point;
  show();
}

// --- history and the outside world ---

function publish() {
  props.value = encode();
  trigger("input");
}

function remember(previous) {
  done.push(previous);
  if (done.length > STEPS) done.shift();
  undone = [];
}

function step(source, target) {
  if (!source.length) return;
  target.push(ids);
  ids = source.pop();
  refresh();
  show();
  publish();
}

function same(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const actions = {
  undo: () => step(done, undone),
  redo: () => step(undone, done),
  clear: () => {
    remember(ids);
    ids = new Uint8Array(SIZE * SIZE);
    refresh();
    show();
    publish();
  },
  mirror: () => {
    mirror = !mirror;
    refresh();
  },
  closer: () => zoomTo(zoom * 1.5),
  farther: () => zoomTo(zoom / 1.5),
};

// Zoom keeps the place under (x, y), in pixels of the window, where it is; the middle of the sheet by default.
function zoomTo(wanted, x, y) {
  const box = sheet.getBoundingClientRect();
  const right = (x ?? box.left + box.width / 2) - box.left, down = (y ?? box.top + box.height / 2) - box.top;
  const before = zoom;
  zoom = Math.min(CLOSEST, Math.max(1, wanted));
  if (zoom < 1.01) zoom = 1;
  const left = ((sheet.scrollLeft + right) / before) * zoom - right, top = ((sheet.scrollTop + down) / before) * zoom - down;
  paper.style.width = `${zoom * 100}%`;
  paper.classList.toggle("near", zoom >= 2);
  sheet.scrollTo(left, top);
  cursor.style.display = "none";
  refresh();
}

function refresh() {
  element.querySelectorAll("[data-tool]").forEach((b) => b.setAttribute("aria-checked", b.dataset.tool === tool));
  palette.querySelectorAll("button").forEach((b, i) => b.setAttribute("aria-checked", i === label));
  element.querySelector("[data-do=mirror]").setAttribute("aria-pressed", mirror);
  element.querySelector("[data-do=undo]").disabled = !done.length;
  element.querySelector("[data-do=redo]").disabled = !undone.length;
  element.querySelector("[data-do=closer]").disabled = zoom >= CLOSEST;
  element.querySelector("[data-do=farther]").disabled = zoom <= 1;
}

function choose(index) {
  label = index;
  if (tool === "eraser") tool = "brush";
  refresh();
}

LABELS.forEach(({ name, colour }, index) => {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("role", "radio");
  button.title = `${name} (${index + 1})`;
  button.dataset.label = name;
  button.innerHTML = `<i style="background:${colour}"></i>${name}`;
  button.onclick = () => choose(index);
  palette.append(button);
});
element.querySelectorAll("[data-tool]").forEach((button) => {
  button.setAttribute("role", "radio");
  button.onclick = () => { tool = button.dataset.tool; refresh(); };
});
element.querySelectorAll("[data-do]").forEach((button) => { button.onclick = actions[button.dataset.do]; });
element.querySelectorAll(".tools button").forEach((button) => button.setAttribute("aria-label", button.title.replace(/ \(.*/, "")));

function place(event) {
  const box = canvas.getBoundingClientRect();
  const at = (value, start, length) => Math.min(SIZE - 1, Math.max(0, Math.floor(((value - start) / length) * SIZE)));
  return { x: at(event.clientX, box.left, box.width), y: at(event.clientY, box.top, box.height) };
}

// Two fingers zoom and move the sheet; what the first one has drawn by then is taken back.
const fingers = new Map();
function spread() {
  const [a, b] = [...fingers.values()];
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) || 1 };
}
function pinch(event) {
  const old = spread();
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  const now = spread();
  sheet.scrollBy(old.x - now.x, old.y - now.y);
  zoomTo((zoom * now.apart) / old.apart, now.x, now.y);
}

canvas.onpointerdown = (event) => {
  if (event.button !== 0 && event.button !== 5) return; // 5: a pen's eraser
  canvas.setPointerCapture(event.pointerId);
  if (event.pointerType === "touch") fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (fingers.size > 1 && from) {
    from = last = null;
    ids = before;
    show();
  }
  if (from || fingers.size > 1) return;
  const point = place(event);
  if (event.altKey) return choose(ids[point.y * SIZE + point.x]);
  before = ids.slice();
  ink = tool === "eraser" || event.button === 5 ? 0 : label;
  from = last = point;
  apply(from);
};
canvas.onpointermove = (event) => {
  if (fingers.size > 1) return fingers.has(event.pointerId) && pinch(event);
  const box = canvas.getBoundingClientRect(), diameter = ((2 * slider.value + 1) / SIZE) * box.width;
  const round = tool === "brush" || tool === "eraser" || tool === "line";
  cursor.style.cssText = `display:${round ? "block" : "none"};width:${diameter}px;height:${diameter}px;` +
    `left:${event.clientX - box.left}px;top:${event.clientY - box.top}px`;
  if (from) for (const part of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) apply(place(part));
};
canvas.onpointerleave = () => { cursor.style.display = "none"; };
canvas.onpointerup = canvas.onpointercancel = (event) => {
  fingers.delete(event.pointerId);
  if (!from) return;
  from = last = null;
  if (same(before, ids)) return;
  remember(before);
  refresh();
  publish();
};
sheet.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey) return; // a trackpad's pinch comes as ctrl and wheel
  event.preventDefault();
  zoomTo(zoom * Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
}, { passive: false });

const keys = { b: "brush", x: "eraser", f: "fill", l: "line", e: "ellipse" };
document.addEventListener("keydown", (event) => {
  if (!element.isConnected || event.target.closest("input:not([type=range]), textarea, select, [contenteditable]")) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "z" || key === "y") {
      event.preventDefault();
      actions[key === "y" || event.shiftKey ? "redo" : "undo"]();
    }
  } else if (event.altKey) return;
  else if (key >= "1" && key <= "7") choose(+key - 1);
  else if (keys[key]) { tool = keys[key]; refresh(); }
  else if (key === "m") actions.mirror();
  else if (key === "+" || key === "=") actions.closer();
  else if (key === "-") actions.farther();
  else if (key === "[" || key === "]") slider.value = +slider.value + (key === "]" ? 2 : -2);
});

// A mask from the server (an example, an upload, a random one) replaces the drawing and can be undone like a stroke.
watch("value", () => {
  const next = decode(props.value);
  if (same(next, ids)) return;
  remember(ids);
  ids = next;
  refresh();
  show();
});

ids = decode(props.value);
refresh();
show();
