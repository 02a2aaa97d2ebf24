// Tells the system what plays, so that its media keys and its lock screen can show and steer it.

export function announce(video: HTMLVideoElement, title: string, poster: string | null): void {
  if (!("mediaSession" in navigator)) return;
  const session = navigator.mediaSession;
  session.metadata = new MediaMetadata({ title, artwork: poster ? [{ src: new URL(poster, location.href).href }] : [] });
  const seekTo = (time_s: number): void => {
    video.currentTime = Math.min(Math.max(0, time_s), video.duration || 0);
  };
  const handlers: Partial<Record<MediaSessionAction, MediaSessionActionHandler>> = {
    play: () => void video.play(),
    pause: () => video.pause(),
    seekbackward: (details) => seekTo(video.currentTime - (details.seekOffset ?? 10)),
    seekforward: (details) => seekTo(video.currentTime + (details.seekOffset ?? 10)),
    seekto: (details) => seekTo(details.seekTime ?? video.currentTime),
  };
  for (const [action, handler] of Object.entries(handlers)) {
    try {
      session.setActionHandler(action as MediaSessionAction, handler);
    } catch {
      // this browser does not know the action
    }
  }
  video.addEventListener("timeupdate", () => {
    if (Number.isFinite(video.duration) && video.duration > 0) {
      session.setPositionState({ duration: video.duration, position: Math.min(video.currentTime, video.duration), playbackRate: video.playbackRate });
    }
  });
}
