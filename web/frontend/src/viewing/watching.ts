// What one sitting in front of one video amounts to, from what the video element says. Pure: no clock, no network.
//
// `watched_s` counts seconds that were really played, so jumping to the end adds nothing; it is the total of the sitting, so a
// report that is lost or sent twice changes nothing.

export type Kind = "start" | "heartbeat" | "seek" | "complete" | "abandon";

export interface Report {
  readonly kind: Kind;
  readonly position_s: number;
  readonly watched_s: number;
}

const HEARTBEAT_S = 10; // of watching, not of time: a video that is paused has no pulse
const LONGEST_STEP_S = 2; // between two looks at a video that plays; more is a jump

export class Watching {
  private watched_s = 0;
  private told_s = 0;
  private at_s: number | null = null;
  private state: "new" | "begun" | "complete" = "new";

  /** Playback goes on, or begins, at `position_s`. */
  played(position_s: number): Report[] {
    const step_s = this.at_s === null ? 0 : position_s - this.at_s;
    if (step_s > 0 && step_s <= LONGEST_STEP_S) this.watched_s += step_s;
    this.at_s = position_s;
    if (this.state === "new") {
      this.state = "begun";
      return [this.report("start")];
    }
    if (this.watched_s - this.told_s < HEARTBEAT_S) return [];
    return [this.report("heartbeat")];
  }

  /** The viewer went to `position_s`. */
  jumped(position_s: number): Report[] {
    const moved = this.at_s !== null && Math.abs(position_s - this.at_s) > LONGEST_STEP_S;
    this.at_s = position_s;
    return moved && this.state !== "new" ? [this.report("seek")] : [];
  }

  paused(): Report[] {
    return this.state === "begun" && this.watched_s > this.told_s ? [this.report("heartbeat")] : [];
  }

  /** The end was reached. Watching it again later is still this sitting. */
  ended(): Report[] {
    if (this.state !== "begun") return [];
    this.state = "complete";
    return [this.report("complete")];
  }

  /** The page is being left. May be said several times: pages come back. */
  left(): Report[] {
    return this.state === "begun" ? [this.report("abandon")] : [];
  }

  private report(kind: Kind): Report {
    this.told_s = this.watched_s;
    return { kind, position_s: round(this.at_s ?? 0), watched_s: round(this.watched_s) };
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
