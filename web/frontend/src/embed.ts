// The player alone, for an <iframe>, steered by messages of the page around it.
//
// To the player:   {headwater: "play" | "pause" | "mute" | "unmute"}, {headwater: "seek", to: seconds}
// From the player: {headwater: "ready" | "play" | "pause" | "seeked" | "timeupdate" | "volumechange" | "ended" | "problem",
//                   id, time, duration, paused, muted, volume, code?}
// Messages carry nothing that is secret, so they are sent to any parent; only the parent is listened to.

import { HeadwaterPlayer } from "./player/element";
import { find } from "./shared/dom";
import { report as reportViewing } from "./viewing/report";

const player = find<HeadwaterPlayer>("headwater-player");
const REPORTED = ["play", "pause", "seeked", "timeupdate", "volumechange", "ended"] as const;

function report(name: string, more: Record<string, unknown> = {}): void {
  const video = player.video;
  if (parent === window || !video) return;
  const { currentTime, duration, paused, muted, volume } = video;
  const known = Number.isFinite(duration) ? duration : null;
  const id = player.getAttribute("playback-id");
  parent.postMessage({ headwater: name, id, time: currentTime, duration: known, paused, muted, volume, ...more }, "*");
}

function obey(data: unknown): void {
  const video = player.video;
  if (!video || typeof data !== "object" || data === null || !("headwater" in data)) return;
  switch (data.headwater) {
    case "play":
      void video.play().catch(() => undefined);
      break;
    case "pause":
      video.pause();
      break;
    case "mute":
    case "unmute":
      video.muted = data.headwater === "mute";
      break;
    case "seek":
      if ("to" in data && typeof data.to === "number") player.seek(data.to);
  }
}

function begin(video: HTMLVideoElement): void {
  for (const name of REPORTED) video.addEventListener(name, () => report(name));
  player.addEventListener("headwater-problem", (event) => report("problem", { code: (event as CustomEvent<{ code: string }>).detail.code }));
  report("ready");
}

reportViewing(player);
addEventListener("message", (event) => {
  if (event.source === parent) obey(event.data);
});
if (player.video) begin(player.video);
else new MutationObserver((_, observer) => {
  if (!player.video) return;
  observer.disconnect();
  begin(player.video);
}).observe(player, { childList: true });
