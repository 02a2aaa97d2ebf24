// Copying to the clipboard, with a word about it. The clipboard of plain http pages is closed on most addresses, so there
// is a second way for those.

import { toast } from "./toast";

function copyBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

export async function copy(text: string, said = "Copied"): Promise<void> {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    done = copyBySelection(text);
  }
  toast(done ? said : "The browser did not allow copying.");
}

/** Every [data-copy] button of the page copies its own text. */
export function watchCopyButtons(): void {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-copy]") : null;
    const text = button?.dataset["copy"];
    if (text !== undefined) void copy(text);
  });
}

/** The iframe that shows a video on another site. */
export function embedCode(origin: string, playbackId: string, title: string): string {
  const name = title.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
  return (
    `<iframe src="${origin}/embed/${playbackId}" title="${name}" width="640" height="360" ` +
    `style="width:100%;height:auto;aspect-ratio:16/9;border:0" loading="lazy" ` +
    `allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>`
  );
}
