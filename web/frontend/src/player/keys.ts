// The keyboard of the player: a table from key to action (pure), and what each action does to a <video>.

export type Action =
  | { readonly kind: "toggle" | "mute" | "fullscreen" | "captions" | "pip" | "help" }
  | { readonly kind: "seek" | "volume" | "speed"; readonly by: number }
  | { readonly kind: "frame"; readonly by: 1 | -1 }
  | { readonly kind: "jump"; readonly to: number };

interface Press {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

export const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2] as const;

const TABLE: Readonly<Record<string, Action>> = {
  " ": { kind: "toggle" },
  k: { kind: "toggle" },
  j: { kind: "seek", by: -10 },
  l: { kind: "seek", by: 10 },
  ArrowLeft: { kind: "seek", by: -5 },
  ArrowRight: { kind: "seek", by: 5 },
  ArrowUp: { kind: "volume", by: 0.05 },
  ArrowDown: { kind: "volume", by: -0.05 },
  m: { kind: "mute" },
  f: { kind: "fullscreen" },
  c: { kind: "captions" },
  p: { kind: "pip" },
  i: { kind: "pip" },
  "<": { kind: "speed", by: -1 },
  ">": { kind: "speed", by: 1 },
  ",": { kind: "frame", by: -1 },
  ".": { kind: "frame", by: 1 },
  Home: { kind: "jump", to: 0 },
  End: { kind: "jump", to: 1 },
  "?": { kind: "help" },
};

/** The rows of the help window. */
export const HELP: readonly (readonly [keys: readonly string[], what: string])[] = [
  [["Space", "K"], "Play or pause"],
  [["J", "L"], "10 seconds back or on"],
  [["←", "→"], "5 seconds back or on"],
  [["0", "9"], "Jump to a tenth"],
  [["Home", "End"], "To the beginning or the end"],
  [[",", "."], "One frame back or on, while paused"],
  [["↑", "↓"], "Volume"],
  [["M"], "Mute"],
  [["<", ">"], "Slower or faster"],
  [["C"], "Captions"],
  [["F"], "Full screen"],
  [["P", "I"], "Picture in picture"],
  [["?"], "This help"],
];

/** The action of a key press, or null when the press is not ours. */
export function actionFor(press: Press): Action | null {
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  if (/^[0-9]$/.test(press.key)) return { kind: "jump", to: Number(press.key) / 10 };
  return TABLE[press.key.length === 1 ? press.key.toLowerCase() : press.key] ?? null;
}

/** The next speed of the ladder in the direction of `by`. */
export function nextSpeed(now: number, by: number): number {
  const faster = SPEEDS.find((speed) => speed > now + 0.001);
  const slower = SPEEDS.findLast((speed) => speed < now - 0.001);
  return (by > 0 ? faster : slower) ?? now;
}

const OWN_KEYS = new Set([" ", "Enter", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);

/** Whether the element under the focus needs this key for itself: a field every key, a button or a slider a few. */
export function belongsToElement(path: readonly EventTarget[], key: string): boolean {
  for (const target of path) {
    if (!(target instanceof HTMLElement)) continue;
    if (target.isContentEditable || target.matches("input:not([type=range]):not([type=checkbox]), textarea, select")) return true;
    if (target.matches("[role=menu], [role=menuitemradio], [role=menuitem], dialog")) return OWN_KEYS.has(key);
    if (target.matches("media-time-range, media-volume-range, input[type=range]")) return OWN_KEYS.has(key) && key !== " ";
    if (target.matches("a, button, summary, input, [role=button], media-time-display")) return key === " " || key === "Enter";
  }
  return false;
}
