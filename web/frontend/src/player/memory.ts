// What the player remembers in this browser: volume, mute, speed, and where each video was left.
// Positions of the videos watched last are kept, the oldest go first. Storage may be off: then nothing is remembered.

const TASTE = "headwater:taste";
const PLACES = "headwater:places";
const PLACES_MAX = 200;

export interface Taste {
  readonly volume: number;
  readonly muted: boolean;
  readonly rate: number;
  /** Whether the keys work without focus on the player (WCAG 2.1.4 asks for a way to turn that off). */
  readonly keysEverywhere: boolean;
}

interface Place {
  readonly id: string;
  readonly at_s: number;
}

const DEFAULT: Taste = { volume: 1, muted: false, rate: 1, keysEverywhere: true };

function read(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

function write(key: string, value: unknown): void {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // full or switched off
  }
}

function within(value: unknown, low: number, high: number, otherwise: number): number {
  return typeof value === "number" && value >= low && value <= high ? value : otherwise;
}

export function taste(): Taste {
  const found = read(TASTE);
  if (typeof found !== "object" || found === null) return DEFAULT;
  const given = found as Partial<Record<keyof Taste, unknown>>;
  return {
    volume: within(given.volume, 0, 1, DEFAULT.volume),
    muted: given.muted === true,
    rate: within(given.rate, 0.25, 4, DEFAULT.rate),
    keysEverywhere: given.keysEverywhere !== false,
  };
}

export function setTaste(change: Partial<Taste>): void {
  write(TASTE, { ...taste(), ...change });
}

function places(): Place[] {
  const found = read(PLACES);
  if (!Array.isArray(found)) return [];
  return found.filter((item): item is Place => typeof item?.id === "string" && typeof item?.at_s === "number");
}

/** Seconds at which the video was left, 0 when it was not begun or was seen to its end. */
export function placeOf(id: string): number {
  return places().find((place) => place.id === id)?.at_s ?? 0;
}

/** The first seconds and the last are no place to come back to. Pure. */
export function worthKeeping(at_s: number, duration_s: number): boolean {
  if (!Number.isFinite(duration_s) || duration_s <= 0) return false;
  return at_s >= Math.min(5, duration_s * 0.1) && at_s < duration_s - Math.min(15, duration_s * 0.05);
}

export function keepPlace(id: string, at_s: number, duration_s: number): void {
  const others = places().filter((place) => place.id !== id);
  const kept = worthKeeping(at_s, duration_s) ? [{ id, at_s: Math.round(at_s * 10) / 10 }] : [];
  write(PLACES, [...kept, ...others].slice(0, PLACES_MAX));
}
