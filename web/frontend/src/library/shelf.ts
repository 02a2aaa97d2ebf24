// The grid of cards: makes them from the page's <template>, keeps them in order, and writes views into them.

import { fill, find, setText } from "../shared/dom";
import { posterOf } from "./api";
import type { CardView } from "./view";

const LEAVE_MS = 420;
const ASK_AGAIN_MS = 2000;

export class Shelf {
  private readonly grid = find("[data-grid]");
  private readonly template = find<HTMLTemplateElement>("template[data-card]");

  constructor(private readonly onChange: () => void) {
    for (const image of this.grid.querySelectorAll<HTMLImageElement>(".card-poster")) this.guardPoster(image);
    for (const card of this.grid.querySelectorAll<HTMLElement>(".card")) {
      if (card.dataset["state"] === "playable") this.askForPoster(card);
      const bar = card.querySelector("progress");
      card.style.setProperty("--level", String((bar?.value ?? 0) / 100));
    }
  }

  get size(): number {
    return this.grid.querySelectorAll(".card:not(.card--leaving)").length;
  }

  card(id: string): HTMLElement | null {
    return this.grid.querySelector(`.card[data-asset="${CSS.escape(id)}"]:not(.card--leaving)`);
  }

  /** The oldest card that the server gave, to know whether an unknown asset belongs above it. */
  get lastId(): string {
    const ids = [...this.grid.querySelectorAll<HTMLElement>(".card")].map((card) => card.dataset["asset"] ?? "");
    return ids.filter((id) => id.startsWith("ast_")).at(-1) ?? "";
  }

  /** Shows `view` on the card of `id`, which is made when it is not there. `fresh` lets it rise into place. */
  show(id: string, view: CardView, fresh = false): void {
    let card = this.card(id);
    if (!card) {
      card = this.make(id);
      if (fresh) card.classList.add("card--new");
    }
    this.paint(card, view);
    this.onChange();
  }

  /** A card of this page's upload becomes the card of the asset that the server made for it. */
  rename(from: string, to: string): void {
    const card = this.card(from);
    if (!card) return;
    this.card(to)?.remove();
    card.dataset["asset"] = to;
    this.onChange();
  }

  remove(id: string): void {
    const card = this.card(id);
    if (!card) return;
    card.classList.add("card--leaving");
    setTimeout(() => {
      card.remove();
      this.onChange();
    }, LEAVE_MS);
    this.onChange();
  }

  hide(id: string, hidden: boolean): void {
    const card = this.card(id);
    if (card) card.hidden = hidden;
    this.onChange();
  }

  /** Takes away all cards but those of `keep`. */
  clear(keep: (id: string) => boolean): void {
    for (const card of [...this.grid.querySelectorAll<HTMLElement>(".card")]) {
      if (!keep(card.dataset["asset"] ?? "")) card.remove();
    }
    this.onChange();
  }

  private make(id: string): HTMLElement {
    const card = (this.template.content.cloneNode(true) as DocumentFragment).firstElementChild as HTMLElement;
    card.dataset["asset"] = id;
    const image = find<HTMLImageElement>(".card-poster", card);
    this.guardPoster(image);
    // Ids sort by time and the newest come first; what has no id yet is newer than everything.
    const after = [...this.grid.children].find((other) => this.isOlder(other as HTMLElement, id));
    this.grid.insertBefore(card, after ?? null);
    return card;
  }

  private isOlder(other: HTMLElement, id: string): boolean {
    const otherId = other.dataset["asset"] ?? "";
    const local = !id.startsWith("ast_");
    return local ? otherId.startsWith("ast_") : otherId.startsWith("ast_") && otherId < id;
  }

  /** A poster that cannot be shown leaves the map visible instead of a broken picture. */
  private guardPoster(image: HTMLImageElement): void {
    image.addEventListener("error", () => {
      image.hidden = true;
      image.removeAttribute("src");
    });
    if (image.complete && image.src && image.naturalWidth === 0) image.hidden = true;
  }

  private paint(card: HTMLElement, view: CardView): void {
    const percent = String(Math.floor(Math.min(1, view.level) * 100));
    card.dataset["state"] = view.state;
    if (view.playbackId) card.dataset["playback"] = view.playbackId;
    card.toggleAttribute("data-portrait", view.portrait);
    if (view.preview) card.dataset["preview"] = view.preview;
    card.style.setProperty("--level", String(view.level));
    this.paintTitle(card, view);
    fill(card, "percent", percent);
    fill(card, "bytes", view.bytes);
    fill(card, "left", view.left);
    fill(card, "length", view.length);
    fill(card, "size", view.size);
    fill(card, "problem", view.problem);
    const bar = find<HTMLProgressElement>("progress", card);
    bar.value = Number(percent);
    bar.setAttribute("aria-label", `Progress of ${view.title}`);
    const date = find<HTMLTimeElement>("[data-fill=date]", card);
    setText(date, view.created);
    date.dateTime = view.createdIso;
    if (view.state === "playable") this.askForPoster(card);
    else this.paintPoster(find<HTMLImageElement>(".card-poster", card), view.poster);
  }

  /** Whether there is a poster already is known to the watch page; asking for a picture that is missing would be an error. */
  private askForPoster(card: HTMLElement): void {
    const playbackId = card.dataset["playback"] ?? "";
    const image = find<HTMLImageElement>(".card-poster", card);
    if (!playbackId || image.hasAttribute("src") || "asking" in card.dataset) return;
    card.dataset["asking"] = "";
    posterOf(playbackId)
      .then((src) => src && this.paintPoster(image, src))
      .catch(() => undefined)
      .finally(() => setTimeout(() => delete card.dataset["asking"], ASK_AGAIN_MS));
  }

  private paintTitle(card: HTMLElement, view: CardView): void {
    const link = find<HTMLAnchorElement>(".card-title a", card);
    setText(link, view.title);
    const canGo = view.playbackId && ["processing", "playable", "ready"].includes(view.state);
    if (canGo) link.href = `/watch/${view.playbackId}`;
    else link.removeAttribute("href");
  }

  private paintPoster(image: HTMLImageElement, src: string): void {
    if (!src) {
      image.hidden = true;
      image.removeAttribute("src");
    } else if (image.getAttribute("src") !== src) {
      image.src = src;
      image.hidden = false;
    }
  }
}
