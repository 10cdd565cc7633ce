// Hair colours to click on. The value is "__AUTO__", a name, or "#rrggbb" from the free picker.
const COLOURS = __COLOURS__;
const box = element.querySelector(".swatches");

function choose(value) {
  props.value = value;
  show();
  trigger("input");
}

function add(value, title, tag = "button") {
  const item = document.createElement(tag);
  item.title = title;
  item.dataset.colour = value;
  item.setAttribute("role", "radio");
  item.setAttribute("aria-label", title);
  if (tag === "button") {
    item.type = "button";
    item.onclick = () => choose(value);
  }
  box.append(item);
  return item;
}

function show() {
  const value = props.value, own = value.startsWith("#");
  box.querySelectorAll("[data-colour]").forEach((item) => item.setAttribute("aria-checked", item.dataset.colour === (own ? "free" : value)));
  if (own) picker.value = value;
  free.style.background = own ? value : "";
}

const auto = add("__AUTO__", "as the style has it");
auto.className = "auto";
auto.textContent = "auto";
for (const [name, colour] of Object.entries(COLOURS)) add(name, name).style.background = colour;
const free = add("free", "any colour", "label");
free.className = "free";
const picker = document.createElement("input");
picker.type = "color";
picker.value = "#ee96b4";
picker.setAttribute("aria-label", "Any hair colour");
picker.addEventListener("change", () => choose(picker.value));
free.append(picker);

watch("value", show);
show();
