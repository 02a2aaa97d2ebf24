// The watch page: the player, the sharing buttons, and what else there is to see.

import { HeadwaterPlayer } from "./player/element";
import { copy, embedCode, watchCopyButtons } from "./shared/copy";
import { find } from "./shared/dom";
import { clock } from "./shared/format";
import { report } from "./viewing/report";
import { watchRows } from "./viewing/rows";
import { offerNext } from "./viewing/up_next";

const player = find<HeadwaterPlayer>("headwater-player");
const panel = find("[data-share]");
const withTime = find<HTMLInputElement>("[data-share-time]");
const origin = panel.dataset["origin"] ?? location.origin;
const id = player.getAttribute("playback-id") ?? "";

function seconds(): number {
  return withTime.checked ? Math.floor(player.video?.currentTime ?? 0) : 0;
}

find("[data-share-link]").addEventListener("click", () => {
  const at_s = seconds();
  void copy(`${origin}/watch/${id}${at_s > 0 ? `?t=${at_s}` : ""}`, at_s > 0 ? `Link copied, from ${clock(at_s)}` : "Link copied");
});
find("[data-share-embed]").addEventListener("click", () => {
  void copy(embedCode(origin, id, player.getAttribute("name") ?? ""), "Embed code copied");
});
find("[data-show-keys]").addEventListener("click", () => player.showHelp());
watchCopyButtons();
report(player);
offerNext(player);
watchRows();
