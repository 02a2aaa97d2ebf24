// The part of the public API (docs: /v1) that the library uses, and its errors as sentences.

export interface Asset {
  readonly id: string;
  readonly title: string;
  readonly status: "waiting" | "uploading" | "processing" | "ready" | "errored" | "deleted";
  readonly playable: boolean;
  readonly progress: number | null;
  readonly eta_s: number | null;
  readonly error: { readonly code: string; readonly detail: string } | null;
  readonly source: { readonly duration_s: number; readonly width: number | null; readonly height: number | null; readonly video_codec: string | null } | null;
  readonly renditions: readonly { readonly kind: string; readonly width: number | null; readonly height: number | null; readonly status: string }[];
  readonly pictures: readonly string[];
  readonly playback_ids: readonly { readonly id: string; readonly policy: string }[];
  readonly created_at: string;
}

export interface Page {
  readonly data: readonly Asset[];
  readonly next_cursor: string | null;
}

export interface Upload {
  readonly id: string;
  readonly asset_id: string;
  readonly status: "waiting" | "receiving" | "complete" | "errored" | "cancelled" | "expired";
  readonly offset: number;
  readonly size: number | null;
}

/** An answer that was not a success; the message is a sentence for people. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    sentence: string,
  ) {
    super(sentence);
  }
}

/** The sentence of a problem+json body (RFC 9457), or one by status. Pure. */
export function sentenceOf(status: number, body: string): string {
  if (status === 401) return "You are signed out. Reload the page to sign in again.";
  try {
    const problem: unknown = JSON.parse(body);
    if (typeof problem === "object" && problem !== null && "detail" in problem && typeof problem.detail === "string") return problem.detail;
  } catch {
    // not a problem document: a proxy's own page, perhaps
  }
  if (status === 413) return "The file is larger than this server accepts.";
  return status >= 500 ? "The server is not able to do that just now." : `The server refused (${status}).`;
}

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { headers: { accept: "application/json" }, ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer.");
  }
  if (!response.ok) throw new Refused(response.status, sentenceOf(response.status, await response.text()));
  return response;
}

const PAGE_SIZE = 24;

export async function listAssets(query: string, cursor: string, signal?: AbortSignal): Promise<Page> {
  const asked = new URLSearchParams({ limit: String(PAGE_SIZE) });
  if (query) asked.set("q", query);
  if (cursor) asked.set("cursor", cursor);
  const response = await call(`/v1/assets?${asked}`, signal ? { signal } : {});
  return (await response.json()) as Page;
}

/** `keepalive` lets the request outlive the page. What is gone already counts as deleted. */
export async function deleteAsset(id: string, keepalive = false): Promise<void> {
  try {
    await call(`/v1/assets/${id}`, { method: "DELETE", keepalive });
  } catch (error) {
    if (!(error instanceof Refused && (error.status === 404 || error.status === 410))) throw error;
  }
}

/** null when the server does not know it any more. */
export async function getUpload(id: string): Promise<Upload | null> {
  try {
    return (await (await call(`/v1/uploads/${id}`)).json()) as Upload;
  } catch (error) {
    if (error instanceof Refused && (error.status === 404 || error.status === 410)) return null;
    throw error;
  }
}

/** The path of a video's poster; null while there is none. */
export async function posterOf(playbackId: string): Promise<string | null> {
  const state: unknown = await (await call(`/watch/${playbackId}/state`)).json();
  return typeof state === "object" && state !== null && "poster" in state && typeof state.poster === "string" ? state.poster : null;
}

/** The id in an upload address, /v1/tus/{id}/{token}. Pure. */
export function uploadIdOf(address: string): string | null {
  return /\/v1\/tus\/([^/?]+)/.exec(address)?.[1] ?? null;
}

/** Subtitles, captions or chapters of a video. */
export interface Track {
  readonly id: string;
  readonly kind: "subtitles" | "captions" | "chapters";
  readonly language: string;
  readonly name: string;
  readonly default: boolean;
  readonly forced: boolean;
  readonly origin: "uploaded" | "source";
  readonly status: "waiting" | "ready" | "unsupported" | "errored";
  readonly detail: string | null;
  readonly cue_count: number;
  readonly problem_count: number;
  readonly problems: readonly { readonly line: number; readonly detail: string }[];
}

export async function listTracks(assetId: string): Promise<{ readonly data: readonly Track[] }> {
  return (await (await call(`/v1/assets/${assetId}/tracks`)).json()) as { readonly data: readonly Track[] };
}

const AS_BYTES = { accept: "application/json", "content-type": "application/octet-stream" };

export async function addTrack(assetId: string, asked: URLSearchParams, file: File): Promise<Track> {
  const init = { method: "POST", body: file, headers: AS_BYTES };
  return (await (await call(`/v1/assets/${assetId}/tracks?${asked}`, init)).json()) as Track;
}

export async function replaceTrack(assetId: string, trackId: string, file: File): Promise<Track> {
  const init = { method: "PUT", body: file, headers: AS_BYTES };
  return (await (await call(`/v1/assets/${assetId}/tracks/${trackId}`, init)).json()) as Track;
}

export async function deleteTrack(assetId: string, trackId: string): Promise<void> {
  await call(`/v1/assets/${assetId}/tracks/${trackId}`, { method: "DELETE" });
}
