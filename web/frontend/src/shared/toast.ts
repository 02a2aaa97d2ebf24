// Short messages at the lower edge, read out by screen readers because they appear in a live region.

import { find } from "./dom";

interface Offer {
  readonly label: string;
  readonly act: () => void;
}

/** Shows `text`; with `offer`, a button beside it. Returns a function that takes the message away early. */
export function toast(text: string, offer?: Offer, stay_ms = offer ? 7000 : 3500): () => void {
  const box = document.createElement("div");
  box.className = "toast";
  const words = document.createElement("span");
  words.textContent = text;
  box.append(words);
  const remove = (): void => box.remove();
  if (offer) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = offer.label;
    button.addEventListener("click", () => {
      remove();
      offer.act();
    });
    box.append(button);
  } else {
    box.style.paddingInlineEnd = "1.2rem";
  }
  find("[data-toasts]").append(box);
  setTimeout(remove, stay_ms);
  return remove;
}
