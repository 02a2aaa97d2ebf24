// What follows when a video is over: a card in the picture with the first of the titles like it. It waits to be chosen.

import type { HeadwaterPlayer } from "../player/element";
import { whenVideo } from "./report";

export function offerNext(player: HeadwaterPlayer): void {
  const template = document.querySelector<HTMLTemplateElement>("template[data-up-next]");
  if (!template) return;
  let card: HTMLElement | null = null;
  const hide = (): void => {
    card?.remove();
    card = null;
  };
  whenVideo(player, (video) => {
    video.addEventListener("ended", () => {
      if (card || video.loop) return;
      card = template.content.firstElementChild?.cloneNode(true) as HTMLElement;
      card.querySelector("[data-close]")?.addEventListener("click", hide);
      player.append(card);
    });
    for (const name of ["play", "seeking"] as const) video.addEventListener(name, hide);
  });
}
