// Every change of every asset, as it happens. The server sends whole states, the last known ones first, so a connection that
// was lost catches up by itself. The browser reconnects after a cut; after a refusal (a restarting server answers 502) we do.

import type { Asset } from "./api";

const AGAIN_MS = 3000;

/** `onReturn` is called when the stream is there again after we had to begin a new one, which may have missed something. */
export function follow(onAsset: (asset: Asset) => void, onReturn: () => void, again = false): void {
  const source = new EventSource("/v1/assets/events");
  const receive = (event: MessageEvent<string>): void => {
    const asset: unknown = JSON.parse(event.data);
    if (typeof asset === "object" && asset !== null && "id" in asset) onAsset(asset as Asset);
  };
  source.addEventListener("message", receive);
  source.addEventListener("open", () => {
    if (again) onReturn();
  });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return;
    source.close();
    setTimeout(() => follow(onAsset, onReturn, true), AGAIN_MS);
  });
  addEventListener("pagehide", () => source.close(), { once: true });
}
