// What the console's own pages need beyond HTML: rows that can be added, permission presets, one address, and what
// keyboards and screen readers need of tables that scroll and of search boxes.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-rows]").forEach(enableRows);
  document.querySelectorAll("[data-permissions]").forEach(enablePresets);
  document.querySelectorAll("[data-custom-period]").forEach(enablePeriod);
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

document.addEventListener("DOMContentLoaded", () => {
  // Search boxes are drawn when their own script gets to it, and again with each row that is added.
  new MutationObserver((changes) => {
    if (changes.some((change) => [...change.addedNodes].some((node) => node.matches?.(".select2-container")))) {
      setTimeout(nameSearchBoxes);
    }
  }).observe(document.body, { childList: true, subtree: true });
  nameSearchBoxes();
  document.addEventListener("focusin", (event) => {
    if (event.target.matches(".select2-search__field:not([aria-label])")) {
      event.target.setAttribute("aria-label", "Search");
    }
  });
  reachTables();
  window.addEventListener("load", reachTables);
  window.addEventListener("resize", reachTables);
});

// A search box is called what its select is called; the box itself adds what is chosen.
function nameSearchBoxes() {
  document.querySelectorAll("select.select2-hidden-accessible").forEach((select) => {
    const box = select.nextElementSibling?.querySelector(".select2-selection");
    const chosen = box?.querySelector(".select2-selection__rendered");
    const label = select.labels?.[0];
    if (!box) {
      return;
    }
    box.querySelector(".select2-search__field")?.setAttribute("aria-label", label?.textContent.trim() || "Search");
    if (label) {
      label.id ||= `label-of-${select.id}`;
      chosen?.setAttribute("aria-labelledby", label.id);
      box.setAttribute("aria-labelledby", `${label.id} ${chosen?.id ?? ""}`.trim());
    } else if (select.ariaLabel) {
      chosen?.setAttribute("aria-label", select.ariaLabel);
      box.removeAttribute("aria-labelledby");
      box.setAttribute("aria-label", select.ariaLabel);
    }
  });
}

// A table that is wider than its place can be scrolled by the keyboard.
function reachTables() {
  document.querySelectorAll(".scroll").forEach((place) => {
    if (place.scrollWidth <= place.clientWidth) {
      place.removeAttribute("tabindex");
      place.removeAttribute("role");
      return;
    }
    place.tabIndex = 0;
    place.setAttribute("role", "region");
    place.ariaLabel = place.closest(".panel")?.querySelector("h2")?.textContent.trim() || "Table";
  });
}

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

// Two days are asked for where the period is one of one's own, and nowhere else.
function enablePeriod(question) {
  const period = question.querySelector("[name=period]");
  const days = [...question.querySelectorAll("[name=first], [name=last]")];
  const show = () => {
    const isOwn = period.value === question.dataset.customPeriod;
    days.forEach((day) => {
      [...question.children].find((field) => field.contains(day)).hidden = !isOwn;
      day.disabled = !isOwn;
    });
  };
  period.addEventListener("change", show);
  window.addEventListener("pageshow", show);
  show();
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

// A form is sent once, however often its button is clicked; ten seconds later, or after the back button, it can be
// sent again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") {
    return;
  }
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 10000);
});

window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
});
