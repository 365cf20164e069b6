// What the console's own pages need beyond HTML: rows that can be added, permission presets, one address.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-rows]").forEach(enableRows);
  document.querySelectorAll("[data-permissions]").forEach(enablePresets);
  // The page that shows a new key answers a POST: loading it again must not issue another key.
  const shown = document.querySelector("[data-replace-address]");
  if (shown) {
    history.replaceState(null, "", shown.dataset.replaceAddress);
  }
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.switch[open]").forEach((menu) => {
      if (!menu.contains(event.target)) {
        menu.removeAttribute("open");
      }
    });
  });
});

function enableRows(table) {
  const total = table.querySelector("[data-total]");
  const body = table.querySelector("tbody");
  const template = table.querySelector("template");
  const button = table.querySelector("[data-add]");
  button.hidden = false;
  button.addEventListener("click", () => {
    const html = template.innerHTML.replace(/__prefix__/g, total.value);
    body.insertAdjacentHTML("beforeend", html);
    total.value = Number(total.value) + 1;
    const row = body.lastElementChild;
    row.dispatchEvent(new CustomEvent("formset:added", { bubbles: true, detail: { formsetName: table.dataset.rows } }));
    row.querySelector("input:not([type=hidden]), select")?.focus();
  });
}

function enablePresets(table) {
  const boxes = [...table.querySelectorAll("input[type=checkbox]")];
  table.querySelectorAll("[data-preset]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      boxes.forEach((box) => {
        box.checked =
          button.dataset.preset === "all" ||
          (button.dataset.preset === "write" && box.value !== "approve:runs") ||
          (button.dataset.preset === "read" && box.value.startsWith("read:"));
      });
    });
  });
}
