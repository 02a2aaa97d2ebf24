// All uploads of this page in one line at the lower edge.

import { fill, find } from "../shared/dom";
import { bytes, left } from "../shared/format";
import type { Item } from "./uploads";
import { isOpen } from "./uploads";

export class Dock {
  private readonly box = find("[data-dock]");

  constructor(onPauseAll: () => void, onResumeAll: () => void) {
    find("[data-do=pause-all]", this.box).addEventListener("click", onPauseAll);
    find("[data-do=resume-all]", this.box).addEventListener("click", onResumeAll);
  }

  show(items: readonly Item[]): void {
    const open = items.filter(isOpen);
    this.box.hidden = open.length === 0;
    if (open.length === 0) return;
    const total = open.reduce((sum, item) => sum + item.file.size, 0);
    const sent = open.reduce((sum, item) => sum + item.sent, 0);
    const rate = open.reduce((sum, item) => sum + item.rate, 0);
    const busy = open.some((item) => item.state === "uploading" || item.state === "queued");
    fill(this.box, "dock-count", open.length === 1 ? "1 upload" : `${open.length} uploads`);
    const rest = rate > 0 ? ` · ${left((total - sent) / rate)}` : busy ? "" : " · paused";
    fill(this.box, "dock-rest", `${bytes(sent)} of ${bytes(total)}${rest}`);
    find<HTMLProgressElement>("progress", this.box).value = total > 0 ? sent / total : 0;
    find("[data-do=pause-all]", this.box).hidden = !busy;
    find("[data-do=resume-all]", this.box).hidden = busy;
  }
}
