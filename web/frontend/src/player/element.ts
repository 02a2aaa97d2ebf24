// <headwater-player>: a stage with a picture that becomes a player.
//
// The server writes the element with its poster and, while there is nothing to play yet, with a notice; so the page stands
// without this script and nothing moves when it arrives. Attributes: src, playback-id, name, state (processing | playable |
// ready | failed), state-url, poster, chapters, storyboard, duration, start, and the switches autoplay, muted, loop, lazy. `sound`
// says that there are no pictures: the poster and the controls stay. The server sets it where it knows, this element where it learns.
//
// Everything that is seen comes from here, so exchanging Media Chrome or hls.js for something else concerns this folder only.

import { setText } from "../shared/dom";
import { clock } from "../shared/format";
import { awaitChoice } from "./captions";
import { buildController } from "./controls";
import { type Engine, type Problem, open } from "./engine";
import { helpDialog } from "./help";
import { type Action, actionFor, belongsToElement, nextSpeed } from "./keys";
import { announce } from "./media_session";
import { keepPlace, placeOf, setTaste, taste } from "./memory";
import { problemCard } from "./problem";

interface State {
  readonly state: "processing" | "playable" | "ready" | "failed";
  readonly progress: number;
  readonly poster: string | null;
  readonly detail: string | null;
}

const POLL_MS = 2000;
const POLL_SOON_MS = 500; // while there is nothing to watch yet, and somebody is looking
const CHIP_MS = 7000;

export class HeadwaterPlayer extends HTMLElement {
  video: HTMLVideoElement | null = null;
  engine: Engine | null = null;
  private controller: HTMLElement | null = null;
  private help: HTMLDialogElement | null = null;
  private problem: HTMLElement | null = null;
  private making: HTMLElement | null = null;
  private savedAt = 0;
  private readonly life = new AbortController();

  connectedCallback(): void {
    if (this.video || this.life.signal.aborted) return;
    const state = this.text("state");
    if (state === "playable" || state === "ready") this.mount();
    if (state === "processing" || state === "playable") this.poll();
  }

  disconnectedCallback(): void {
    this.life.abort();
    this.engine?.destroy();
  }

  private text(name: string): string {
    return this.getAttribute(name) ?? "";
  }

  private get playbackId(): string {
    return this.text("playback-id");
  }

  // Building

  private mount(): void {
    const controller = buildController();
    const video = controller.querySelector("video") as HTMLVideoElement;
    this.controller = controller;
    this.video = video;
    this.takeKind(controller);
    if (this.hasAttribute("duration")) controller.setAttribute("defaultduration", this.text("duration"));
    this.takePoster(controller);
    this.takeChapters(video);
    awaitChoice(controller, video, () => this.engine);
    this.takeStoryboard(video);
    this.applyTaste(video);
    video.autoplay = this.hasAttribute("autoplay");
    video.loop = this.hasAttribute("loop");
    this.querySelector("[data-notice]")?.remove();
    this.append(controller);
    if (this.hasAttribute("sound")) controller.removeAttribute("userinactive"); // which it says of everybody who has not moved yet
    this.listen(video);
    announce(video, this.text("name"), this.getAttribute("poster"));
    if (this.hasAttribute("lazy") && !video.autoplay) this.openWhenSeen(video);
    else this.openEngine(video).start();
  }

  /** Of sound, the poster is all that there is to see, and the controls hide nothing. */
  private takeKind(controller: HTMLElement): void {
    const sound = this.hasAttribute("sound");
    controller.setAttribute("autohide", sound ? "-1" : "3");
    controller.setAttribute("aria-label", `${sound ? "Sound" : "Video"}: ${this.text("name")}`);
  }

  private takePoster(controller: HTMLElement): void {
    const image = this.querySelector<HTMLImageElement>(".stage-poster");
    if (!image) return;
    image.slot = "poster";
    controller.append(image);
  }

  /** Chapters are a track of the page: they are the same in every quality, and the time bar shows them. */
  private takeChapters(video: HTMLVideoElement): void {
    if (!this.hasAttribute("chapters")) return;
    const track = document.createElement("track");
    Object.assign(track, { kind: "chapters", label: "Chapters", default: true, src: this.text("chapters") });
    video.append(track);
  }

  /** The time bar finds the pictures that it shows in a track of this kind and label. */
  private takeStoryboard(video: HTMLVideoElement): void {
    if (!this.hasAttribute("storyboard")) return;
    const track = document.createElement("track");
    Object.assign(track, { kind: "metadata", label: "thumbnails", default: true, src: this.text("storyboard") });
    video.append(track);
  }

  private applyTaste(video: HTMLVideoElement): void {
    const { volume, muted, rate } = taste();
    video.volume = volume;
    video.muted = muted || this.hasAttribute("muted");
    video.defaultPlaybackRate = rate;
    video.playbackRate = rate;
  }

  private startAt(): number {
    const asked = Number(this.text("start"));
    return asked > 0 ? asked : this.hasAttribute("lazy") ? 0 : placeOf(this.playbackId);
  }

  private openEngine(video: HTMLVideoElement): Engine {
    if (this.engine) return this.engine;
    const startAt_s = this.startAt();
    this.engine = open(video, {
      src: this.text("src"),
      startAt_s,
      onProblem: (problem) => this.showProblem(problem),
      onRecovered: () => this.hideProblem(),
      making: () => this.text("state") === "playable",
      onMaking: (waits) => this.showMaking(waits),
    });
    if (startAt_s > 0 && !this.text("start")) {
      this.chip(`Resumed at ${clock(startAt_s)}`, "Start over", () => this.seek(0));
    }
    return this.engine;
  }

  /** An embedded player reads the playlist when it comes into view, and media when it is played. */
  private openWhenSeen(video: HTMLVideoElement): void {
    video.addEventListener("play", () => this.openEngine(video).start(), { once: true });
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      this.openEngine(video);
    });
    observer.observe(this);
  }

  // Listening

  private listen(video: HTMLVideoElement): void {
    const options = { signal: this.life.signal };
    document.addEventListener("keydown", (event) => this.onKey(event), options);
    video.addEventListener("volumechange", () => setTaste({ volume: video.volume, muted: video.muted }), options);
    video.addEventListener("ratechange", () => setTaste({ rate: video.playbackRate }), options);
    video.addEventListener("timeupdate", () => this.savePlace(false), options);
    video.addEventListener("loadedmetadata", () => this.learnKind(video), options);
    for (const name of ["pause", "seeked", "ended"] as const) video.addEventListener(name, () => this.savePlace(true), options);
    addEventListener("pagehide", () => this.savePlace(true), options);
  }

  private learnKind(video: HTMLVideoElement): void {
    this.toggleAttribute("sound", video.videoWidth === 0);
    if (this.controller) this.takeKind(this.controller);
  }

  private savePlace(now: boolean): void {
    const video = this.video;
    if (!video || video.readyState < 1 || this.hasAttribute("lazy")) return;
    if (!now && Math.abs(video.currentTime - this.savedAt) < 3) return;
    this.savedAt = video.currentTime;
    keepPlace(this.playbackId, video.currentTime, video.duration);
  }

  private onKey(event: KeyboardEvent): void {
    const action = actionFor(event);
    if (!action || event.defaultPrevented || this.help?.open) return;
    const path = event.composedPath();
    const inside = path.includes(this);
    if (!inside && !(taste().keysEverywhere && document.activeElement === document.body)) return;
    if (belongsToElement(path, event.key)) return;
    event.preventDefault();
    this.act(action);
  }

  // Acting

  seek(to_s: number): void {
    const video = this.video;
    if (!video || !(video.duration > 0)) return;
    video.currentTime = Math.min(Math.max(0, to_s), video.duration);
  }

  private request(name: string): void {
    this.controller?.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true }));
  }

  private act(action: Action): void {
    const video = this.video;
    if (!video) return;
    this.wake();
    switch (action.kind) {
      case "toggle":
        if (video.paused) void video.play().catch(() => undefined);
        else video.pause();
        break;
      case "seek":
        this.seek(video.currentTime + action.by);
        break;
      case "jump":
        this.seek(video.duration * action.to);
        break;
      case "frame":
        if (video.paused) this.seek(video.currentTime + action.by / this.frameRate());
        break;
      case "volume":
        video.volume = Math.min(1, Math.max(0, Math.round((video.volume + action.by) * 100) / 100));
        if (action.by > 0) video.muted = false;
        break;
      case "speed":
        video.playbackRate = nextSpeed(video.playbackRate, action.by);
        this.chip(`Speed ${video.playbackRate}×`);
        break;
      case "mute":
        video.muted = !video.muted;
        break;
      case "captions":
        this.request("mediatogglesubtitlesrequest");
        break;
      case "fullscreen":
        this.request(document.fullscreenElement ? "mediaexitfullscreenrequest" : "mediaenterfullscreenrequest");
        break;
      case "pip":
        this.request(document.pictureInPictureElement ? "mediaexitpiprequest" : "mediaenterpiprequest");
        break;
      case "help":
        this.showHelp();
    }
  }

  /** Keys bring the controls back as the mouse does. */
  private wake(): void {
    this.controller?.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, composed: true }));
  }

  private frameRate(): number {
    const hls = this.engine?.hls;
    return hls?.levels[Math.max(0, hls.currentLevel)]?.frameRate || 30;
  }

  showHelp(): void {
    if (!this.controller) return;
    if (!this.help) {
      this.help = helpDialog();
      this.controller.append(this.help);
    }
    this.help.showModal();
  }

  // Notices

  private showProblem(problem: Problem): void {
    this.hideProblem();
    this.problem = problemCard(this.playbackId, problem, () => this.engine?.retry());
    this.append(this.problem);
    this.dispatchEvent(new CustomEvent("headwater-problem", { detail: problem }));
  }

  /** A calm word while the picture waits for a part that nobody has asked for before. */
  private showMaking(waits: boolean): void {
    this.making?.remove();
    this.making = null;
    if (!waits) return;
    this.making = document.createElement("p");
    this.making.className = "chip chip--making";
    this.making.setAttribute("role", "status");
    this.making.textContent = "This part is still being made. It plays in a moment.";
    this.append(this.making);
  }

  private hideProblem(): void {
    this.problem?.remove();
    this.problem = null;
  }

  private chip(text: string, label?: string, act?: () => void): void {
    this.querySelector(".chip:not(.chip--making)")?.remove();
    const chip = document.createElement("p");
    chip.className = "chip";
    chip.setAttribute("role", "status");
    chip.append(text);
    if (label && act) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.addEventListener("click", () => {
        chip.remove();
        act();
      });
      chip.append(button);
    }
    this.append(chip);
    setTimeout(() => chip.remove(), CHIP_MS);
  }

  // Waiting for the video to be made

  private poll(): void {
    const url = this.text("state-url");
    if (!url) return;
    const look = async (): Promise<void> => {
      const response = await fetch(url, { signal: this.life.signal, cache: "no-store" });
      if (response.ok) this.onState((await response.json()) as State);
    };
    const again = (): void => {
      if (this.life.signal.aborted || ["ready", "failed"].includes(this.text("state"))) return;
      const pause_ms = this.text("state") === "processing" ? POLL_SOON_MS : POLL_MS;
      setTimeout(() => void look().catch(() => undefined).finally(again), document.hidden ? POLL_MS * 5 : pause_ms);
    };
    again();
  }

  private onState(now: State): void {
    const before = this.text("state");
    this.setAttribute("state", now.state);
    if (before === "processing" && (now.state === "playable" || now.state === "ready")) {
      if (now.poster) this.addPoster(now.poster);
      this.mount();
    } else if (now.state === "failed") {
      this.querySelector("[data-notice]")?.setAttribute("data-failed", "");
      this.tell(now.detail ?? "This video could not be prepared.");
    } else if (now.state === "processing") {
      const percent = Math.floor(now.progress * 100);
      this.style.setProperty("--level", String(now.progress));
      this.tell(`Being prepared · ${percent} %`);
    }
  }

  private addPoster(src: string): void {
    this.setAttribute("poster", src);
    const image = document.createElement("img");
    image.className = "stage-poster";
    image.alt = "";
    image.src = src;
    this.prepend(image);
  }

  private tell(text: string): void {
    const line = this.querySelector("[data-notice] .notice-line");
    if (line) setText(line, text);
  }
}

customElements.define("headwater-player", HeadwaterPlayer);
