// What media-tracks/polyfill adds to every media element; its own declarations are not reachable through its exports.

import type { VideoRenditionList, VideoTrack, VideoTrackList } from "media-tracks";

declare global {
  interface HTMLMediaElement {
    readonly videoTracks: VideoTrackList;
    readonly videoRenditions: VideoRenditionList;
    addVideoTrack(kind: string, label?: string, language?: string): VideoTrack;
    removeVideoTrack(track: VideoTrack): void;
  }
}
