// The text tracks of one video: listed, added, replaced and deleted, with what was wrong with a file, line by line.

import { fill, find } from "../shared/dom";
import { type Track, Refused, addTrack, deleteTrack, listTracks, replaceTrack } from "./api";

const KINDS = { subtitles: "Subtitles", captions: "Captions", chapters: "Chapters" };

/** What stands below a track's name. Pure. */
export function stateOf(track: Track): string {
  if (track.status === "errored" || track.status === "unsupported") return track.detail ?? "It cannot be shown.";
  const count = `${track.cue_count} ${track.kind === "chapters" ? "chapter" : "cue"}${track.cue_count === 1 ? "" : "s"}`;
  const words = [KINDS[track.kind], count];
  if (track.origin === "source") words.push("from the file");
  if (track.default) words.push("shown by default");
  if (track.forced) words.push("forced");
  if (track.status === "waiting") words.push("being prepared");
  return words.join(" · ");
}

/** One sentence about one thing that was wrong. Line 0 is the file as a whole. Pure. */
export function sentenceOf(problem: { readonly line: number; readonly detail: string }): string {
  return problem.line > 0 ? `Line ${problem.line}: ${problem.detail}` : problem.detail;
}

/** The dialog of the page. */
export class Captions {
  private readonly dialog = find<HTMLDialogElement>("[data-words]");
  private readonly list = find("[data-words-list]", this.dialog);
  private readonly said = find("[data-words-said]", this.dialog);
  private readonly form = find<HTMLFormElement>("[data-words-form]", this.dialog);
  private readonly chooser = find<HTMLInputElement>("[data-words-file]", this.dialog);
  private readonly template = find<HTMLTemplateElement>("template[data-words-track]", this.dialog);
  private assetId = "";
  private replaced = ""; // the track that the next file is for; empty: a new one
  private last: Promise<void> = Promise.resolve(); // one thing at a time, in the order in which it was asked for

  constructor() {
    this.dialog.addEventListener("click", (event) => this.onClick(event));
    this.dialog.addEventListener("focusout", (event) => this.disarm(event.target));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.choose("");
    });
    this.chooser.addEventListener("change", () => {
      const file = this.chooser.files?.[0];
      if (file) void this.send(file);
    });
  }

  async open(assetId: string, title: string): Promise<void> {
    this.assetId = assetId;
    this.list.replaceChildren();
    this.say("");
    find("[data-words-empty]", this.dialog).hidden = true;
    fill(this.dialog, "words-of", title);
    this.dialog.showModal();
    await this.work(async () => undefined, "The list could not be read.");
  }

  private onClick(event: MouseEvent): void {
    if (event.target === this.dialog) this.dialog.close(); // the backdrop
    const button = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-words-do]") : null;
    const what = button?.dataset["wordsDo"];
    const track = button?.closest<HTMLElement>("[data-track]")?.dataset["track"] ?? "";
    if (what === "close") this.dialog.close();
    if (what === "replace") this.choose(track);
    if (what === "delete" && button) this.remove(button, track);
  }

  private choose(replaced: string): void {
    this.replaced = replaced;
    this.chooser.value = "";
    this.chooser.click();
  }

  private async send(file: File): Promise<void> {
    const { assetId, replaced } = this;
    const given = new FormData(this.form);
    const asked = new URLSearchParams({ language: String(given.get("language")).trim(), kind: String(given.get("kind")) });
    await this.work(async () => {
      const track = await (replaced ? replaceTrack(assetId, replaced, file) : addTrack(assetId, asked, file));
      const rest = track.problem_count ? ` ${remarks(track.problem_count)}; the track lists them.` : "";
      return `“${file.name}” is ${replaced ? "in its place" : "added"}.${rest}`;
    }, `“${file.name}” could not be sent.`);
  }

  /** Deleting is asked for twice on the same button. */
  private remove(button: HTMLElement, track: string): void {
    if (button.dataset["armed"] === undefined) {
      button.dataset["armed"] = "";
      button.append("Delete?");
      return;
    }
    void this.work(async () => {
      await deleteTrack(this.assetId, track);
      find("button[data-words-do=close]", this.dialog).focus();
      return "Deleted.";
    }, "It could not be deleted.");
  }

  private disarm(target: EventTarget | null): void {
    const button = target instanceof Element ? target.closest<HTMLElement>("[data-armed]") : null;
    if (!button) return;
    delete button.dataset["armed"];
    button.lastChild?.remove();
  }

  /** Runs one change, says what came of it, and shows the list as it is then. */
  private work(change: () => Promise<string | undefined>, otherwise: string): Promise<void> {
    this.last = this.last.then(() => this.run(change, otherwise));
    return this.last;
  }

  private async run(change: () => Promise<string | undefined>, otherwise: string): Promise<void> {
    const wait = find("[data-words-wait]", this.dialog);
    wait.hidden = false;
    this.say("");
    try {
      this.say((await change()) ?? "");
      this.show((await listTracks(this.assetId)).data);
    } catch (error) {
      this.say(error instanceof Refused ? error.message : otherwise, true);
    } finally {
      wait.hidden = true;
    }
  }

  private say(text: string, wrong = false): void {
    this.said.textContent = text;
    this.said.classList.toggle("words-said--wrong", wrong);
  }

  private show(tracks: readonly Track[]): void {
    find("[data-words-empty]", this.dialog).hidden = tracks.length > 0;
    this.list.replaceChildren(...tracks.map((track) => this.row(track)));
  }

  private row(track: Track): HTMLElement {
    const row = (this.template.content.cloneNode(true) as DocumentFragment).firstElementChild as HTMLElement;
    row.dataset["track"] = track.id;
    row.classList.toggle("words-track--failed", track.status === "errored" || track.status === "unsupported");
    fill(row, "tag", track.language);
    fill(row, "name", track.name);
    fill(row, "state", stateOf(track));
    for (const [what, word] of [["replace", "Replace"], ["delete", "Delete"]]) {
      const button = find(`[data-words-do=${what}]`, row);
      button.setAttribute("aria-label", `${word} ${track.name}`);
      button.title = `${word}`;
    }
    if (track.problems.length > 0) {
      const box = find("details", row);
      box.hidden = false;
      fill(row, "count", remarks(track.problem_count));
      const lines = track.problems.map((problem) => Object.assign(document.createElement("li"), { textContent: sentenceOf(problem) }));
      find("ul", box).append(...lines);
    }
    return row;
  }
}

function remarks(count: number): string {
  return count === 1 ? "1 line could not be used as it was" : `${count} lines could not be used as they were`;
}
