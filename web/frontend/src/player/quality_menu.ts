// The quality menu. Media Chrome's own is drawn anew whenever the automatic quality changes; drawn while somebody chooses from
// it, it loses the focus and closes under their hand. This one waits with that until it is closed.

import { MediaRenditionMenu } from "media-chrome/dist/menu/media-rendition-menu.js";

const SIZES = ["mediaheight", "mediawidth"];

class QualityMenu extends MediaRenditionMenu {
  private waiting = false;

  override attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (SIZES.includes(name) && !this.hidden) {
      this.waiting = true;
      return;
    }
    super.attributeChangedCallback(name, before, now);
    if (name === "hidden" && this.hidden && this.waiting) {
      this.waiting = false;
      for (const size of SIZES) super.attributeChangedCallback(size, null, this.getAttribute(size));
    }
  }
}

customElements.define("headwater-quality-menu", QualityMenu);
