// A row of thumbnails. The value is JSON: [{src, title}, ...]; a click fires "pick" with the item's index.
const row = element.querySelector(".row");

function render() {
  const items = JSON.parse(props.value || "[]");
  row.replaceChildren(...items.map(({ src, title }, index) => {
    const button = document.createElement("button"), picture = document.createElement("img");
    button.type = "button";
    button.title = picture.alt = title;
    picture.src = src;
    button.append(picture);
    button.onclick = () => trigger("pick", { index });
    return button;
  }));
  row.hidden = !items.length;
  element.querySelector(".empty").hidden = items.length > 0;
}

watch("value", render);
render();
