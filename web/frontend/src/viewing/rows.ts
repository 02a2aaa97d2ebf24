// Rows of suggestions: arrows that move a row by a screen, and "not interested", which takes a title out of every row to come.

import { find } from "../shared/dom";
import { toast } from "../shared/toast";
import { tell } from "./report";

function arm(row: HTMLElement): void {
  const track = find("[data-track]", row);
  const arrows = [...row.querySelectorAll<HTMLButtonElement>("[data-move]")];
  const update = (): void => {
    const room = track.scrollWidth - track.clientWidth;
    for (const arrow of arrows) {
      arrow.hidden = room < 8;
      arrow.disabled = arrow.dataset["move"] === "-1" ? track.scrollLeft < 8 : track.scrollLeft > room - 8;
    }
  };
  for (const arrow of arrows) {
    arrow.addEventListener("click", () => track.scrollBy({ left: Number(arrow.dataset["move"]) * track.clientWidth * 0.9, behavior: "smooth" }));
  }
  track.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(track);
  update();
}

async function refuse(button: HTMLButtonElement): Promise<void> {
  const tile = button.closest<HTMLElement>("[data-tile]");
  const playbackId = tile?.dataset["tile"] ?? "";
  if (!tile || !playbackId) return;
  button.disabled = true;
  if (!(await tell({ kind: "not_interested", playback_id: playbackId }))) {
    button.disabled = false;
    toast("That could not be saved. Try again in a moment.");
    return;
  }
  const row = tile.closest<HTMLElement>("[data-row]");
  const next = tile.nextElementSibling ?? tile.previousElementSibling;
  tile.remove();
  if (row && !row.querySelector("[data-tile]")) row.remove();
  else next?.querySelector<HTMLElement>("a")?.focus();
  toast("You will not be shown that again");
}

export function watchRows(root: ParentNode = document): void {
  for (const row of root.querySelectorAll<HTMLElement>("[data-row]")) arm(row);
  for (const button of root.querySelectorAll<HTMLButtonElement>("[data-refuse]")) {
    button.addEventListener("click", () => void refuse(button));
  }
}
