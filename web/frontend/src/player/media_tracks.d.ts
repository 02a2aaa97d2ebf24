// What media-tracks/polyfill adds to every media element; its own declarations are not reachable through its exports.

import type { AudioTrack, AudioTrackList, VideoRenditionList, VideoTrack, VideoTrackList } from "media-tracks";

declare global {
  interface HTMLMediaElement {
    readonly audioTracks: AudioTrackList;
    readonly videoTracks: VideoTrackList;
    readonly videoRenditions: VideoRenditionList;
    addAudioTrack(kind: string, label?: string, language?: string): AudioTrack;
    removeAudioTrack(track: AudioTrack): void;
    addVideoTrack(kind: string, label?: string, language?: string): VideoTrack;
    removeVideoTrack(track: VideoTrack): void;
  }
}
