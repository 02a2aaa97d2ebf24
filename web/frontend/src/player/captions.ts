// Captions are shown when somebody asked for them, or when their owner made them the default; a browser has no say in it.
//
// Chromium switches on, by itself, whatever captions appear in a language of the viewer. So what comes to be shown before the viewer
// has chosen anything, and is no default of the playlist, is switched off again. Media Chrome remembers the language that was chosen.

import type { Engine } from "./engine";

const CHOICES = ["mediatogglesubtitlesrequest", "mediashowsubtitlesrequest", "mediadisablesubtitlesrequest"];

const isCaptions = (track: TextTrack): boolean => track.kind === "captions" || track.kind === "subtitles";

/** Keeps captions off until the viewer chooses; `engine` tells which ones the playlist wants shown. */
export function awaitChoice(controller: HTMLElement, video: HTMLVideoElement, engine: () => Engine | null): void {
  let chosen = false;
  for (const name of CHOICES) controller.addEventListener(name, () => (chosen = true), { capture: true });
  const look = (): void => {
    if (chosen) return;
    const defaults = new Set(engine()?.hls?.subtitleTracks.filter((track) => track.default).map((track) => track.name));
    for (const track of [...video.textTracks]) {
      if (isCaptions(track) && track.mode === "showing" && !defaults.has(track.label)) track.mode = "disabled";
    }
  };
  video.textTracks.addEventListener("change", look);
}
