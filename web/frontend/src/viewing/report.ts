// Tells the server what is being watched: start, a pulse every ten seconds of watching, jumps, the end, and leaving.
//
// Nothing here may disturb the picture: reports wait in a short queue, are sent a few at a time, and are dropped without a word
// when the server does not want them. What is left when the page goes away is sent by sendBeacon. Who is watching is said by a
// cookie that scripts cannot read; here only the video and the sitting are named.

import type { HeadwaterPlayer } from "../player/element";
import { type Report, Watching } from "./watching";

const ADDRESS = "/v1/events";
const QUEUE_MAX = 100;

export interface ViewEvent extends Report {
  readonly event_id: string;
  readonly session_id: string;
  readonly playback_id: string;
  readonly at: string;
}

/** 128 random bits. `crypto.randomUUID` is missing where a page is not served over TLS or from loopback. */
export function randomId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function body(events: readonly object[]): string {
  return JSON.stringify({ events, sent_at: new Date().toISOString() });
}

/** One report by itself, for what is not playback. Resolves to whether the server took it. */
export async function tell(event: { readonly kind: string; readonly playback_id: string }): Promise<boolean> {
  const whole = { ...event, event_id: randomId(), session_id: randomId(), at: new Date().toISOString() };
  try {
    const reply = await fetch(ADDRESS, { method: "POST", body: body([whole]), headers: { "content-type": "application/json" } });
    return reply.ok;
  } catch {
    return false;
  }
}

export class Reporter {
  private readonly watching = new Watching();
  private readonly session = randomId();
  private queue: ViewEvent[] = [];
  private sending = false;

  constructor(private readonly playbackId: string) {}

  observe(video: HTMLVideoElement): void {
    const at = (): number => video.currentTime;
    video.addEventListener("playing", () => this.note(this.watching.played(at())));
    video.addEventListener("timeupdate", () => {
      if (!video.seeking && !video.paused) this.note(this.watching.played(at()));
    });
    video.addEventListener("seeked", () => this.note(this.watching.jumped(at())));
    video.addEventListener("pause", () => this.note(this.watching.paused()));
    video.addEventListener("ended", () => this.note(this.watching.ended()));
    addEventListener("pagehide", () => this.leave());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.beacon();
    });
  }

  private note(reports: readonly Report[]): void {
    if (reports.length === 0) return;
    const named = { session_id: this.session, playback_id: this.playbackId };
    const at = new Date().toISOString();
    this.queue.push(...reports.map((report) => ({ ...report, ...named, event_id: randomId(), at })));
    this.queue = this.queue.slice(-QUEUE_MAX);
    void this.send();
  }

  /** Sends what waits, one request after the other. What the server could not take goes with the next report. */
  private async send(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    let taken = true;
    while (taken && this.queue.length > 0) {
      const events = this.queue;
      this.queue = [];
      taken = await this.post(events);
      if (!taken) this.queue = [...events, ...this.queue]; // an event counts once, however often it is sent
    }
    this.sending = false;
  }

  private async post(events: readonly ViewEvent[]): Promise<boolean> {
    try {
      const reply = await fetch(ADDRESS, { method: "POST", body: body(events), headers: { "content-type": "application/json" }, keepalive: true });
      return reply.status < 500 && reply.status !== 429;
    } catch {
      return false;
    }
  }

  private leave(): void {
    const named = { session_id: this.session, playback_id: this.playbackId };
    const at = new Date().toISOString();
    this.queue.push(...this.watching.left().map((report) => ({ ...report, ...named, event_id: randomId(), at })));
    this.beacon();
  }

  private beacon(): void {
    if (this.queue.length === 0) return;
    if (navigator.sendBeacon(ADDRESS, new Blob([body(this.queue)], { type: "application/json" }))) this.queue = [];
  }
}

/** Calls `act` with the player's video as soon as there is one: a video that is still being made has none yet. */
export function whenVideo(player: HeadwaterPlayer, act: (video: HTMLVideoElement) => void): void {
  if (player.video) {
    act(player.video);
    return;
  }
  new MutationObserver((_, observer) => {
    if (!player.video) return;
    observer.disconnect();
    act(player.video);
  }).observe(player, { childList: true });
}

/** Reports what is watched in `player`. */
export function report(player: HeadwaterPlayer): void {
  const reporter = new Reporter(player.getAttribute("playback-id") ?? "");
  whenVideo(player, (video) => reporter.observe(video));
}
