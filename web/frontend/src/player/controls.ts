// The controls, as Media Chrome elements. Importing this module registers exactly the elements that are used.

import "media-chrome/dist/media-controller.js";
import "media-chrome/dist/media-control-bar.js";
import "media-chrome/dist/media-captions-button.js";
import "media-chrome/dist/media-fullscreen-button.js";
import "media-chrome/dist/media-loading-indicator.js";
import "media-chrome/dist/media-mute-button.js";
import "media-chrome/dist/media-pip-button.js";
import "media-chrome/dist/media-play-button.js";
import "media-chrome/dist/media-seek-backward-button.js";
import "media-chrome/dist/media-seek-forward-button.js";
import "media-chrome/dist/media-time-display.js";
import "media-chrome/dist/media-time-range.js";
import "media-chrome/dist/media-volume-range.js";
import "media-chrome/dist/media-preview-chapter-display.js";
import "media-chrome/dist/media-preview-thumbnail.js";
import "media-chrome/dist/media-preview-time-display.js";
import "media-chrome/dist/menu/media-audio-track-menu.js";
import "media-chrome/dist/menu/media-captions-menu.js";
import "media-chrome/dist/menu/media-playback-rate-menu.js";
import "media-chrome/dist/menu/media-settings-menu.js";
import "media-chrome/dist/menu/media-settings-menu-button.js";
import "media-chrome/dist/menu/media-settings-menu-item.js";

import { SPEEDS } from "./keys";
import "./quality_menu";

const SLIDERS =
  '<path fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" ' +
  'd="M4 7h9M19 7h1M4 17h1M11 17h9M16 4.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5ZM8 14.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z"/>';

const MENU = `
  <media-settings-menu class="menu" anchor="auto" hidden>
    <media-settings-menu-item class="menu-quality">Quality
      <headwater-quality-menu slot="submenu" hidden><div slot="title">Quality</div></headwater-quality-menu>
    </media-settings-menu-item>
    <media-settings-menu-item>Speed
      <media-playback-rate-menu slot="submenu" rates="${SPEEDS.join(" ")}" hidden><div slot="title">Speed</div></media-playback-rate-menu>
    </media-settings-menu-item>
    <media-settings-menu-item class="menu-sound">Sound
      <media-audio-track-menu slot="submenu" hidden><div slot="title">Sound</div></media-audio-track-menu>
    </media-settings-menu-item>
    <media-settings-menu-item class="menu-captions">Captions
      <media-captions-menu slot="submenu" hidden><div slot="title">Captions</div></media-captions-menu>
    </media-settings-menu-item>
  </media-settings-menu>`;

const BAR = `
  <media-time-range class="timeline"><media-preview-thumbnail slot="preview"></media-preview-thumbnail><media-preview-chapter-display slot="preview"></media-preview-chapter-display><media-preview-time-display slot="preview"></media-preview-time-display></media-time-range>
  <media-control-bar class="bar">
    <media-play-button></media-play-button>
    <media-seek-backward-button seekoffset="10" class="roomy"></media-seek-backward-button>
    <media-seek-forward-button seekoffset="10" class="roomy"></media-seek-forward-button>
    <media-mute-button></media-mute-button>
    <media-volume-range class="roomy"></media-volume-range>
    <media-time-display showduration notoggle></media-time-display>
    <span class="bar-gap"></span>
    <media-captions-button></media-captions-button>
    <media-settings-menu-button><svg slot="icon" viewBox="0 0 24 24" aria-hidden="true">${SLIDERS}</svg></media-settings-menu-button>
    <media-pip-button class="roomy"></media-pip-button>
    <media-fullscreen-button></media-fullscreen-button>
  </media-control-bar>`;

/** The controller with a <video> in it. Our own keys replace Media Chrome's, and our own memory its preferences. */
export function buildController(): HTMLElement {
  const holder = document.createElement("template");
  holder.innerHTML = `
    <media-controller class="controls" nohotkeys novolumepref nomutedpref breakpoints="sm:400 md:600 lg:900" autohide="3">
      <video slot="media" playsinline crossorigin tabindex="-1"></video>
      <media-loading-indicator slot="centered-chrome" noautohide loadingdelay="400"></media-loading-indicator>
      <media-play-button slot="centered-chrome" class="big-play" notooltip></media-play-button>
      ${MENU}
      <div class="shade">${BAR}</div>
    </media-controller>`;
  const controller = holder.content.firstElementChild as HTMLElement;
  tellWholeMilliseconds(controller.querySelector("video") as HTMLVideoElement);
  return controller;
}

/** Media Source Extensions count microseconds, so a title of 12 s lasts 11.999999 s and would be shown as 0:11. */
function tellWholeMilliseconds(video: HTMLVideoElement): void {
  const exact = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "duration")?.get;
  if (exact) Object.defineProperty(video, "duration", { configurable: true, get: () => Math.round(exact.call(video) * 1000) / 1000 });
}
