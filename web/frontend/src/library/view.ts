// What a card shows, worked out from an asset or from an upload of this page. Pure: web/views.py holds the same rules for
// the first paint, and a test holds both to the same answers.

import { bytes, clock, day, left } from "../shared/format";
import type { Asset } from "./api";

export type CardState =
  | "queued"
  | "uploading"
  | "paused"
  | "stuck"
  | "interrupted"
  | "receiving"
  | "processing"
  | "playable"
  | "ready"
  | "failed";

export interface CardView {
  readonly state: CardState;
  readonly title: string;
  readonly playbackId: string;
  readonly level: number; // 0 to 1
  readonly left: string;
  readonly bytes: string;
  readonly length: string;
  readonly size: string;
  readonly created: string;
  readonly createdIso: string;
  readonly problem: string;
  readonly poster: string; // a video that is playable but not ready may not have one yet: its card asks for it
  readonly portrait: boolean;
  readonly preview: string; // a few moments in motion; empty while there are none
}

const UNTITLED = "Untitled video";

export function stateOf(asset: Asset): CardState {
  if (asset.status === "errored") return "failed";
  if (asset.status === "ready") return "ready";
  if (asset.playable) return "playable";
  return asset.status === "processing" ? "processing" : "receiving";
}

const isSound = (asset: Asset): boolean => asset.source !== null && asset.source.video_codec === null;

/** "1080p": the shorter side of the largest rendition that can be watched; "Sound" where there is nothing to be seen. */
function sizeOf(asset: Asset): string {
  if (isSound(asset)) return "Sound";
  const sides = asset.renditions
    .filter((item) => item.kind === "video" && item.status === "ready")
    .map((item) => Math.min(item.width ?? 0, item.height ?? 0));
  const largest = Math.max(0, ...sides);
  return largest > 0 ? `${largest}p` : "";
}

export function viewOfAsset(asset: Asset): CardView {
  const state = stateOf(asset);
  const playbackId = asset.playback_ids[0]?.id ?? "";
  return {
    state,
    title: asset.title || UNTITLED,
    playbackId,
    level: state === "processing" || state === "playable" ? (asset.progress ?? 0) : 0,
    left: (state === "processing" || state === "playable") && asset.eta_s !== null ? left(asset.eta_s) : "",
    bytes: "",
    length: asset.source ? clock(asset.source.duration_s) : "",
    size: sizeOf(asset),
    created: day(asset.created_at),
    createdIso: asset.created_at,
    problem: asset.error?.detail ?? "",
    poster: state === "ready" && playbackId ? `/v/${playbackId}/poster.jpg` : "",
    portrait: isSound(asset) || (asset.source?.height ?? 0) > (asset.source?.width ?? 0),
    preview: playbackId && asset.pictures.includes("preview.mp4") ? `/v/${playbackId}/preview.mp4` : "",
  };
}

export interface UploadFacts {
  readonly state: "queued" | "uploading" | "paused" | "stuck" | "interrupted";
  readonly title: string;
  readonly sent: number;
  readonly total: number;
  readonly rate: number; // bytes per second, 0 while unknown
  readonly problem: string;
}

export function viewOfUpload(facts: UploadFacts): CardView {
  const done = facts.total > 0 ? facts.sent / facts.total : 0;
  return {
    state: facts.state,
    title: facts.title,
    playbackId: "",
    level: done,
    left: facts.state === "uploading" && facts.rate > 0 ? left((facts.total - facts.sent) / facts.rate) : "",
    bytes: `${bytes(facts.sent)} of ${bytes(facts.total)}`,
    length: "",
    size: "",
    created: "",
    createdIso: "",
    problem: facts.problem,
    poster: "",
    portrait: false,
    preview: "",
  };
}
