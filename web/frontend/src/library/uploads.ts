// The upload queue of this page: tus 1.0.0 through tus-js-client, two files at a time, the others wait their turn.
//
// tus-js-client writes down the address of each unfinished upload under a fingerprint of the file (name, type, size, date),
// so choosing the same file after a reload goes on where the server stopped. The queue knows nothing of cards: it reports
// each change of an item to `onChange`.

import { DetailedError, Upload, defaultOptions } from "tus-js-client";
import { getUpload, sentenceOf, uploadIdOf } from "./api";

const ENDPOINT = "/v1/tus";
const AT_ONCE = 2;
// One request for each 64 MiB: what a request has delivered is acknowledged, whatever happens after it.
const CHUNK_BYTES = 64 * 1024 * 1024;
const RETRY_MS = [0, 1000, 3000, 5000, 10_000, 20_000];
const RATE_WEIGHT = 0.25;

export type ItemState = "queued" | "uploading" | "paused" | "stuck" | "done" | "cancelled";

export interface Item {
  readonly key: string; // of this page
  readonly file: File;
  readonly title: string;
  state: ItemState;
  sent: number;
  rate: number; // bytes per second, smoothed
  assetId: string | null;
  problem: string;
}

interface Running extends Item {
  upload: Upload;
  fingerprint: string;
  measuredAt: number;
  measuredSent: number;
}

/** "My film.final.mp4" -> "My film.final". Pure. */
export function titleOf(fileName: string): string {
  return fileName.replace(/\.[A-Za-z0-9]{1,5}$/, "").trim() || fileName;
}

function sentenceFor(error: Error | DetailedError): string {
  const response = error instanceof DetailedError ? error.originalResponse : null;
  if (response) return sentenceOf(response.getStatus(), response.getBody());
  return navigator.onLine ? "The connection was lost." : "This computer is offline.";
}

export class UploadQueue {
  private readonly items: Running[] = [];
  private made = 0;

  constructor(
    private readonly onChange: (item: Item) => void,
    private readonly onAsset: (item: Item, assetId: string) => void,
  ) {
    addEventListener("online", () => this.items.filter((item) => item.state === "stuck").forEach((item) => this.resume(item.key)));
    addEventListener("beforeunload", (event) => {
      if (this.items.some((item) => item.state === "uploading")) event.preventDefault();
    });
  }

  get all(): readonly Item[] {
    return this.items;
  }

  of(assetId: string): Item | undefined {
    return this.items.find((item) => item.assetId === assetId || item.key === assetId);
  }

  /** False when this very file is in the queue already. */
  async add(file: File): Promise<boolean> {
    const item = this.build(file);
    item.fingerprint = (await item.upload.options.fingerprint?.(file, item.upload.options)) ?? item.key;
    if (this.items.some((other) => other.fingerprint === item.fingerprint && isOpen(other))) return false;
    this.items.push(item); // before anything is waited for: the same file may come twice in one go
    const [previous] = await item.upload.findPreviousUploads();
    if (previous) {
      item.upload.resumeFromPreviousUpload(previous);
      item.assetId = await assetOf(previous.uploadUrl);
    }
    this.onChange(item);
    this.startNext();
    return true;
  }

  pause(key: string): void {
    const item = this.find(key);
    if (item?.state !== "uploading" && item?.state !== "queued") return;
    this.set(item, "paused");
    void item.upload.abort();
    this.startNext();
  }

  resume(key: string): void {
    const item = this.find(key);
    if (item?.state !== "paused" && item?.state !== "stuck") return;
    item.problem = "";
    this.set(item, "queued");
    this.startNext();
  }

  /** Stops, and tells the server to throw away what it has, the asset included. False when the server did not do that. */
  async cancel(key: string): Promise<boolean> {
    const item = this.find(key);
    if (!item || !isOpen(item)) return true;
    this.set(item, "cancelled");
    const done = item.upload.abort(item.upload.url !== null).then(
      () => true,
      () => false,
    );
    this.startNext();
    return done;
  }

  private find(key: string): Running | undefined {
    return this.items.find((item) => item.key === key);
  }

  private set(item: Running, state: ItemState): void {
    item.state = state;
    item.rate = 0;
    item.measuredAt = 0;
    this.onChange(item);
  }

  private startNext(): void {
    let free = AT_ONCE - this.items.filter((item) => item.state === "uploading").length;
    for (const item of this.items) {
      if (free <= 0) return;
      if (item.state !== "queued") continue;
      free -= 1;
      this.set(item, "uploading");
      item.upload.start();
    }
  }

  private build(file: File): Running {
    this.made += 1;
    const title = titleOf(file.name);
    const item: Omit<Running, "upload"> = {
      key: `local-${this.made}`,
      file,
      title,
      state: "queued",
      sent: 0,
      rate: 0,
      assetId: null,
      problem: "",
      fingerprint: "",
      measuredAt: 0,
      measuredSent: 0,
    };
    const running = item as Running;
    running.upload = new Upload(file, {
      endpoint: ENDPOINT,
      chunkSize: CHUNK_BYTES,
      retryDelays: RETRY_MS,
      metadata: { title, filename: file.name, filetype: file.type },
      removeFingerprintOnSuccess: true,
      onProgress: (sent) => this.onProgress(running, sent),
      onUploadUrlAvailable: () => void this.learnAsset(running),
      onSuccess: () => {
        running.sent = file.size;
        this.set(running, "done");
        this.startNext();
      },
      onError: (error) => {
        if (running.state !== "uploading") return;
        running.problem = sentenceFor(error);
        this.set(running, "stuck");
        this.startNext();
      },
    });
    return running;
  }

  private onProgress(item: Running, sent: number): void {
    if (item.state !== "uploading") return;
    const now = performance.now();
    const passed_s = (now - item.measuredAt) / 1000;
    if (item.measuredAt === 0) {
      item.measuredAt = now;
      item.measuredSent = sent;
    } else if (passed_s >= 0.5) {
      const rate = Math.max(0, sent - item.measuredSent) / passed_s;
      item.rate = item.rate === 0 ? rate : item.rate + RATE_WEIGHT * (rate - item.rate);
      item.measuredAt = now;
      item.measuredSent = sent;
    }
    item.sent = sent;
    this.onChange(item);
  }

  private async learnAsset(item: Running): Promise<void> {
    if (item.assetId) return;
    const assetId = await assetOf(item.upload.url);
    if (!assetId) return;
    item.assetId = assetId;
    this.onAsset(item, assetId);
  }
}

/** The asset that an upload address fills; null when the server does not know it, or does not answer. */
async function assetOf(address: string | null): Promise<string | null> {
  const id = address ? uploadIdOf(address) : null;
  const upload = id ? await getUpload(id).catch(() => null) : null;
  return upload?.asset_id ?? null;
}

export function isOpen(item: Item): boolean {
  return item.state !== "done" && item.state !== "cancelled";
}

export interface Unfinished {
  readonly assetId: string;
  readonly title: string;
  readonly sent: number;
  readonly total: number;
}

/** Uploads that this browser began and that nobody continues; entries that the server has forgotten are forgotten too. */
export async function findUnfinished(): Promise<Unfinished[]> {
  const storage = defaultOptions.urlStorage;
  const found: Unfinished[] = [];
  for (const previous of (await storage?.findAllUploads()) ?? []) {
    const id = previous.uploadUrl ? uploadIdOf(previous.uploadUrl) : null;
    const upload = id ? await getUpload(id).catch(() => undefined) : null;
    if (upload === undefined) continue; // the server does not answer: nothing is known
    if (upload && (upload.status === "waiting" || upload.status === "receiving")) {
      const total = upload.size ?? previous.size ?? 0;
      found.push({ assetId: upload.asset_id, title: previous.metadata["title"] ?? "Video", sent: upload.offset, total });
    } else {
      await storage?.removeUpload(previous.urlStorageKey);
    }
  }
  return found;
}
