// Plays one HLS presentation in one <video>: hls.js wherever Media Source Extensions exist, the browser's own HLS where not.
//
// canPlayType is not asked first: Chromium answers "maybe" to HLS and then fails on part of it. The renditions are told to the
// <video> through media-tracks, so the quality menu of Media Chrome works on a plain element.
//
// Errors: hls.js retries the network by itself, and a decoder that failed is reset here, twice in a row at most. What is
// left is a Problem, given to `onProblem` once; `retry` starts over at the same place.
//
// A video may be watched before all of it is made. Its segments are then made when they are asked for: the server holds the
// request back for some seconds and then answers 503, "again in a second". That is no error, however often it happens; who has to
// wait for the picture hears of it by `onMaking`. Where nothing is yet, the lowest quality is there first.

import "media-tracks/polyfill";
import Hls, { type ErrorData, type HlsConfig, type Level } from "hls.js";
import { unlock } from "./clearkey";

export interface Problem {
  /** Stable, for the reference: "manifestLoadError-404". */
  readonly code: string;
  readonly sentence: string;
  /** Nobody can do anything about it by pressing the button again. */
  readonly final: boolean;
}

export interface Engine {
  /** Begin to fetch media. Harmless when it already runs. */
  start(): void;
  /** Start over at the current position, as after a Problem. */
  retry(): void;
  destroy(): void;
  /** For the tests and for the curious: null where the browser plays HLS itself. */
  readonly hls: Hls | null;
}

interface Options {
  readonly src: string;
  readonly startAt_s: number;
  readonly onProblem: (problem: Problem) => void;
  readonly onRecovered: () => void;
  /** Whether parts of the video may still have to be made. */
  readonly making: () => boolean;
  /** The picture has begun or ceased to wait for a part that is being made. */
  readonly onMaking: (waits: boolean) => void;
}

const AGAIN = 503; // with Retry-After: 1
const AGAIN_MAX = 3600;
const FRAGMENTS: HlsConfig["fragLoadPolicy"] = {
  default: {
    maxTimeToFirstByteMs: 30_000, // longer than the server holds a request back
    maxLoadTimeMs: 120_000,
    timeoutRetry: { maxNumRetry: 8, retryDelayMs: 0, maxRetryDelayMs: 0 },
    errorRetry: {
      maxNumRetry: 30,
      // hls.js does not read Retry-After; this is what ours says.
      retryDelayMs: 1000,
      maxRetryDelayMs: 1000,
      backoff: "linear",
      shouldRetry: (_config, count, _timeout, response, retry) => (response?.code === AGAIN ? count < AGAIN_MAX : retry),
    },
  },
};

const CONFIG: Partial<HlsConfig> = {
  fragLoadPolicy: FRAGMENTS,
  autoStartLoad: false,
  // Our segments are CMAF and pass through unchanged: a worker would only add a copy of each.
  enableWorker: false,
  capLevelToPlayerSize: true,
  // The first segment should arrive at once; 1 Mbit/s starts at the lower rungs and the estimate corrects itself within one.
  abrEwmaDefaultEstimate: 1_500_000,
  maxBufferLength: 30,
  maxMaxBufferLength: 120,
  backBufferLength: 60,
};

const RESETS_MAX = 2;
const RESET_MEMORY_MS = 15_000;
const STUCK_MS = 25_000;
const PATIENCE_MS = 1200; // a picture that comes sooner needs no explanation
const LOOK_MS = 300;

/** What hls.js says, in words for a viewer. Pure. */
export function problemOf(data: Pick<ErrorData, "type" | "details" | "response">): Problem {
  const status = data.response?.code;
  const code = status ? `${data.details}-${status}` : data.details;
  if (status === 404 || status === 410) return { code, sentence: "This video is not here any more.", final: false };
  if (status === 401 || status === 403) return { code, sentence: "This video is not open to you.", final: true };
  if (data.type === Hls.ErrorTypes.NETWORK_ERROR) {
    return { code, sentence: "The connection to the video was lost.", final: false };
  }
  if (data.details === Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
    return { code, sentence: "This browser cannot decode the video.", final: true };
  }
  return { code, sentence: "The video could not be played on from here.", final: false };
}

/** The levels that a viewer may choose: the same pictures with another form of the sound are no other quality. */
function choosable(hls: Hls): readonly Level[] {
  const group = hls.levels[0]?.audioGroups?.[0];
  return group === undefined ? hls.levels : hls.levels.filter((level) => level.hasAudioGroup(group));
}

const sizeOf = (level: Level): string => `${level.width}x${level.height}`;

/**
 * The level that somebody means who asks for a size: a title of two codecs has one of each. It is the one like what plays now, so that
 * the decoder stays the same; else the one that hls.js, which sorts the levels of a size by its liking for their codecs, puts last.
 */
function levelOfSize(hls: Hls, size: string): number {
  const found = choosable(hls).filter((level) => sizeOf(level) === size);
  const now = hls.levels[Math.max(hls.loadLevel, 0)];
  const alike = found.filter((level) => level.codecSet === now?.codecSet && level.videoRange === now.videoRange);
  const [chosen] = [...(alike.length > 0 ? alike : found)].reverse();
  return chosen ? hls.levels.indexOf(chosen) : -1;
}

/** Tells the <video> what it can be switched to, each size once, and hls.js what was chosen. */
function linkRenditions(hls: Hls, video: HTMLVideoElement): void {
  hls.on(Hls.Events.MANIFEST_PARSED, () => {
    for (const old of [...video.videoTracks]) video.removeVideoTrack(old);
    if (!hls.levels.some((level) => level.height > 0)) return; // sound alone: nothing to choose by its size
    const track = video.addVideoTrack("main");
    track.selected = true;
    const levels = new Map(choosable(hls).map((level) => [sizeOf(level), level]));
    for (const [size, level] of levels) {
      const rendition = track.addRendition(level.url[0] ?? "", level.width, level.height, level.videoCodec, level.bitrate);
      rendition.id = size;
    }
  });
  const choose = (): void => {
    const size = [...video.videoRenditions][video.videoRenditions.selectedIndex]?.id;
    const chosen = size === undefined ? -1 : levelOfSize(hls, size); // -1 is automatic, for hls.js too
    if (chosen !== hls.manualLevel) hls.nextLevel = chosen;
  };
  video.videoRenditions.addEventListener("change", choose);
  hls.on(Hls.Events.DESTROYING, () => video.videoRenditions.removeEventListener("change", choose));
}

/** Tells the <video> which tracks of sound there are, and hls.js which was chosen. */
function linkSound(hls: Hls, video: HTMLVideoElement): void {
  hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, (_event, data) => {
    for (const old of [...video.audioTracks]) video.removeAudioTrack(old);
    if (data.audioTracks.length < 2) return; // nothing to choose from
    for (const one of data.audioTracks) {
      const track = video.addAudioTrack(one.default ? "main" : "alternative", one.name, one.lang ?? "");
      track.id = String(one.id);
      track.enabled = one.id === hls.audioTrack || (hls.audioTrack < 0 && one.default);
    }
  });
  hls.on(Hls.Events.AUDIO_TRACK_SWITCHED, (_event, data) => {
    for (const track of video.audioTracks) track.enabled = track.id === String(data.id);
  });
  const choose = (): void => {
    const chosen = Number([...video.audioTracks].find((track) => track.enabled)?.id ?? hls.audioTrack);
    if (chosen !== hls.audioTrack && hls.audioTracks.some((track) => track.id === chosen)) hls.audioTrack = chosen;
  };
  video.audioTracks.addEventListener("change", choose);
  hls.on(Hls.Events.DESTROYING, () => video.audioTracks.removeEventListener("change", choose));
}

/** Tells whether the picture is waiting for a part of the video that is still being made. */
function watchForMaking(video: HTMLVideoElement, options: Options, wants: () => boolean): () => void {
  let since = 0;
  let told = false;
  const look = (): void => {
    const needed = video.paused ? HTMLMediaElement.HAVE_CURRENT_DATA : HTMLMediaElement.HAVE_FUTURE_DATA;
    const lacks = options.making() && wants() && video.readyState < needed && !video.ended;
    since = lacks ? since || performance.now() : 0;
    const waits = lacks && performance.now() - since >= PATIENCE_MS;
    if (waits === told) return;
    told = waits;
    options.onMaking(waits);
  };
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}

/** Calls `onStuck` when the picture has been waiting for data for too long without saying why. */
function watchForStalls(video: HTMLVideoElement, isMaking: () => boolean, onStuck: () => void): () => void {
  let timer = 0;
  const clear = (): void => {
    clearTimeout(timer);
    timer = 0;
  };
  const wait = (): void => {
    if (timer === 0 && !video.paused) timer = window.setTimeout(stuck, STUCK_MS);
  };
  const stuck = (): void => {
    timer = 0;
    if (isMaking()) wait();
    else onStuck();
  };
  const ends = ["playing", "pause", "emptied", "timeupdate"] as const;
  video.addEventListener("waiting", wait);
  for (const name of ends) video.addEventListener(name, clear);
  return () => {
    clear();
    video.removeEventListener("waiting", wait);
    for (const name of ends) video.removeEventListener(name, clear);
  };
}

/** Whether the picture at the current time is there already. */
function isBuffered(video: HTMLVideoElement): boolean {
  const { buffered, currentTime } = video;
  for (let index = 0; index < buffered.length; index += 1) {
    if (buffered.start(index) <= currentTime && currentTime < buffered.end(index)) return true;
  }
  return false;
}

class HlsEngine implements Engine {
  hls: Hls;
  private resets: number[] = [];
  private started = false;
  private readonly watching: readonly (() => void)[];
  private readonly online = (): void => {
    if (this.broken) this.retry();
  };
  private readonly seeking = (): void => {
    if (this.options.making() && !isBuffered(this.video)) this.hls.nextAutoLevel = 0;
  };
  private broken = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly options: Options,
  ) {
    this.hls = this.open(options.startAt_s);
    this.watching = [
      watchForStalls(video, options.making, () =>
        this.fail({ code: "stalled", sentence: "The video has stopped arriving.", final: false }),
      ),
      watchForMaking(video, options, () => this.started && !this.broken),
      unlock(video, options.src, () =>
        this.fail({ code: "locked", sentence: "This video needs a key that could not be had.", final: true }),
      ),
    ];
    addEventListener("online", this.online);
    video.addEventListener("seeking", this.seeking);
  }

  start(): void {
    if (this.started) return;
    this.started = true;
    this.hls.startLoad(this.options.startAt_s > 0 ? this.options.startAt_s : -1);
  }

  retry(): void {
    const position_s = this.video.currentTime || this.options.startAt_s;
    const rate = this.video.playbackRate;
    this.broken = false;
    this.hls.destroy();
    this.hls = this.open(position_s);
    this.started = true;
    this.hls.startLoad(position_s > 0 ? position_s : -1);
    this.video.playbackRate = rate;
    this.options.onRecovered();
    void this.video.play().catch(() => undefined); // the browser may want a gesture first
  }

  destroy(): void {
    removeEventListener("online", this.online);
    this.video.removeEventListener("seeking", this.seeking);
    for (const stop of this.watching) stop();
    this.hls.destroy();
  }

  private open(position_s: number): Hls {
    const lowest = this.options.making() ? { startLevel: 0 } : {};
    const hls = new Hls({ ...CONFIG, ...lowest, startPosition: position_s > 0 ? position_s : -1 });
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (data.fatal) this.onFatal(hls, data);
    });
    linkRenditions(hls, this.video);
    linkSound(hls, this.video);
    hls.loadSource(this.options.src);
    hls.attachMedia(this.video);
    return hls;
  }

  private onFatal(hls: Hls, data: ErrorData): void {
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && this.mayReset()) {
      const playing = !this.video.paused; // resetting the decoder pauses
      hls.recoverMediaError();
      if (playing) void this.video.play().catch(() => undefined);
      return;
    }
    this.fail(problemOf(data));
  }

  private mayReset(): boolean {
    const now = performance.now();
    this.resets = this.resets.filter((at) => now - at < RESET_MEMORY_MS);
    this.resets.push(now);
    return this.resets.length <= RESETS_MAX;
  }

  private fail(problem: Problem): void {
    this.broken = true;
    this.hls.stopLoad();
    this.options.onProblem(problem);
  }
}

/** The browser's own HLS: iPhones without Managed Media Source. */
class NativeEngine implements Engine {
  readonly hls = null;
  private readonly stopWatching: () => void;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly options: Options,
  ) {
    video.addEventListener("error", this.failed);
    this.stopWatching = watchForMaking(video, options, () => video.src !== "");
  }

  start(): void {
    if (this.video.src) return;
    this.video.src = this.options.startAt_s > 0 ? `${this.options.src}#t=${this.options.startAt_s}` : this.options.src;
  }

  retry(): void {
    const position_s = this.video.currentTime;
    this.options.onRecovered();
    this.video.src = `${this.options.src}#t=${position_s}`;
    void this.video.play().catch(() => undefined);
  }

  destroy(): void {
    this.stopWatching();
    this.video.removeEventListener("error", this.failed);
    this.video.removeAttribute("src");
    this.video.load();
  }

  private readonly failed = (): void => {
    const code = `native-${this.video.error?.code ?? 0}`;
    this.options.onProblem({ code, sentence: "The video could not be played.", final: false });
  };
}

export function open(video: HTMLVideoElement, options: Options): Engine {
  if (Hls.isSupported()) return new HlsEngine(video, options);
  if (video.canPlayType("application/vnd.apple.mpegurl")) return new NativeEngine(video, options);
  options.onProblem({ code: "no-mse", sentence: "This browser can play neither HLS nor Media Source streams.", final: true });
  return { hls: null, start: () => undefined, retry: () => undefined, destroy: () => undefined };
}
