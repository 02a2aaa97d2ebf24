// The window that lists the keys, and the switch that binds them to the player (WCAG 2.1.4).

import { HELP } from "./keys";
import { setTaste, taste } from "./memory";

function row(keys: readonly string[], what: string): string {
  const caps = keys.map((key) => `<kbd>${key.replace("<", "&lt;").replace(">", "&gt;")}</kbd>`).join(" ");
  return `<div><dt>${caps}</dt><dd>${what}</dd></div>`;
}

/** A <dialog> inside the player, so that it shows in full screen too. */
export function helpDialog(): HTMLDialogElement {
  const dialog = document.createElement("dialog");
  dialog.className = "help";
  dialog.setAttribute("aria-label", "Keyboard");
  dialog.innerHTML = `
    <form method="dialog"><h2>Keyboard</h2><button class="notice-button notice-button--quiet">Close</button></form>
    <dl>${HELP.map(([keys, what]) => row(keys, what)).join("")}</dl>
    <label><input type="checkbox"> Keys work anywhere on the page, not only in the player</label>`;
  const box = dialog.querySelector("input") as HTMLInputElement;
  box.checked = taste().keysEverywhere;
  box.addEventListener("change", () => setTaste({ keysEverywhere: box.checked }));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  return dialog;
}
