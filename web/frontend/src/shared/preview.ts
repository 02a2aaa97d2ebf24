// A few moments of a video in motion, while the mouse rests on its card. Nothing is fetched before that, and nothing moves for
// those who asked their system for less motion.

const REST_MS = 350;

/** Arms every card, now or later on the page, whose [data-preview] names a film. It is laid over the picture in the card's frame. */
export function watchPreviews(): void {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let card: HTMLElement | null = null;
  let film: HTMLVideoElement | null = null;
  let timer = 0;

  const stop = (): void => {
    clearTimeout(timer);
    film?.remove();
    film = null;
    card = null;
  };

  document.addEventListener("pointerover", (event) => {
    const found = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-preview]") : null;
    if (found === card) return;
    stop();
    if (!found || event.pointerType !== "mouse" || still.matches) return;
    card = found;
    timer = setTimeout(() => (film = play(found)), REST_MS);
  });
  document.documentElement.addEventListener("pointerleave", stop);
}

function play(card: HTMLElement): HTMLVideoElement | null {
  const picture = card.querySelector<HTMLImageElement>(".card-frame img, .tile-frame img");
  if (!picture) return null;
  const film = document.createElement("video");
  Object.assign(film, { className: "moving", muted: true, loop: true, playsInline: true, tabIndex: -1, src: card.dataset["preview"] ?? "" });
  film.setAttribute("aria-hidden", "true");
  film.addEventListener("playing", () => film.classList.add("moving--on"));
  picture.after(film);
  void film.play().catch(() => film.remove());
  return film;
}
