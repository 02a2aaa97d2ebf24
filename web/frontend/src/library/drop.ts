// Dropping files anywhere on the page.

import { find } from "../shared/dom";

function holdsFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/** The files of a drop, and whether there were folders among them (which are left out). */
function filesOf(data: DataTransfer): { files: File[]; folders: boolean } {
  const files: File[] = [];
  let folders = false;
  for (const item of data.items) {
    if (item.kind !== "file") continue;
    if (item.webkitGetAsEntry()?.isDirectory) folders = true;
    else {
      const file = item.getAsFile();
      if (file) files.push(file);
    }
  }
  return { files, folders };
}

export function watchDrops(onFiles: (files: File[], folders: boolean) => void): void {
  const veil = find("[data-drop]");
  let depth = 0; // dragenter and dragleave come for every element on the way
  const show = (to: number): void => {
    depth = Math.max(0, to);
    veil.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => {
    if (holdsFiles(event)) show(depth + 1);
  });
  addEventListener("dragleave", (event) => {
    if (holdsFiles(event)) show(depth - 1);
  });
  addEventListener("dragover", (event) => {
    if (holdsFiles(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!holdsFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    show(0);
    const { files, folders } = filesOf(event.dataTransfer);
    onFiles(files, folders);
  });
}
