// The card over the picture when it cannot go on: what happened, what can be done, and a reference to quote.

import { copy } from "../shared/copy";
import type { Problem } from "./engine";

/** What a viewer can send to whoever runs this: which video, what, when. Pure. */
export function referenceOf(playbackId: string, problem: Problem, at: Date): string {
  return `${playbackId} ${problem.code} ${at.toISOString().replace(/\.\d+Z$/, "Z")}`;
}

export function problemCard(playbackId: string, problem: Problem, onRetry: () => void): HTMLElement {
  const reference = referenceOf(playbackId, problem, new Date());
  const card = document.createElement("div");
  card.className = "notice problem";
  card.setAttribute("role", "alert");
  card.innerHTML = `
    <p class="notice-line"></p>
    <p class="notice-buttons">
      <button class="notice-button" type="button" data-retry>Try again</button>
      <button class="notice-button notice-button--quiet" type="button" data-reference>Copy reference</button>
    </p>
    <p class="notice-small"><code></code></p>`;
  const part = <T extends HTMLElement>(selector: string): T => card.querySelector(selector) as T;
  part(".notice-line").textContent = problem.sentence;
  part("code").textContent = reference;
  part<HTMLButtonElement>("[data-retry]").hidden = problem.final;
  part("[data-retry]").addEventListener("click", onRetry);
  part("[data-reference]").addEventListener("click", () => {
    void navigator.clipboard?.writeText(reference).then(
      () => (part("[data-reference]").textContent = "Copied"),
      () => copy(reference),
    );
  });
  return card;
}
