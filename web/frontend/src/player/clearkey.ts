// Decrypts titles that are encrypted by "cbcs" (common encryption): the browser does it, with the key from the address beside the
// playlist. W3C Encrypted Media Extensions, key system "org.w3.clearkey" (section 9.1), initialization data "cenc" (our init segments
// carry a common `pssh`). Titles that are not encrypted so cost one listener.
//
// This is no DRM: whoever may watch may have the key. Where the server keeps keys for a DRM service, there is none to fetch.

const SYSTEM = "org.w3.clearkey";
const CONFIGURATIONS: MediaKeySystemConfiguration[] = [
  {
    initDataTypes: ["cenc"],
    videoCapabilities: [{ contentType: 'video/mp4; codecs="avc1.64001f"', encryptionScheme: "cbcs" }],
    audioCapabilities: [{ contentType: 'audio/mp4; codecs="mp4a.40.2"', encryptionScheme: "cbcs" }],
  },
  {
    initDataTypes: ["cenc"],
    audioCapabilities: [{ contentType: 'audio/mp4; codecs="mp4a.40.2"', encryptionScheme: "cbcs" }],
  },
];

/** Gives the <video> what it needs to decrypt, when it asks. `onFailed` is called when it cannot be had. The answer ends it. */
export function unlock(video: HTMLVideoElement, playlist: string, onFailed: () => void): () => void {
  const asked = new Set<string>(); // every rendition asks, with the same words
  let ready: Promise<MediaKeys> | undefined;
  const answer = async (kind: string, data: ArrayBuffer): Promise<void> => {
    const words = String.fromCharCode(...new Uint8Array(data));
    if (asked.has(words)) return;
    asked.add(words);
    ready ??= systemFor(video);
    const session = (await ready).createSession();
    session.addEventListener("message", (event) => {
      void licence(event.message, playlist)
        .then((text) => session.update(text))
        .catch(onFailed);
    });
    await session.generateRequest(kind, data);
  };
  const encrypted = (event: MediaEncryptedEvent): void => {
    if (event.initData !== null) void answer(event.initDataType, event.initData).catch(onFailed);
  };
  video.addEventListener("encrypted", encrypted);
  return () => video.removeEventListener("encrypted", encrypted);
}

async function systemFor(video: HTMLVideoElement): Promise<MediaKeys> {
  const access = await navigator.requestMediaKeySystemAccess(SYSTEM, CONFIGURATIONS);
  const keys = await access.createMediaKeys();
  await video.setMediaKeys(keys);
  return keys;
}

/** The keys that a message asks for, as the JSON Web Keys that ClearKey takes. */
async function licence(message: ArrayBuffer, playlist: string): Promise<BufferSource> {
  const { kids } = JSON.parse(new TextDecoder().decode(message)) as { kids: string[] };
  const keys = await Promise.all(
    kids.map(async (kid) => {
      const reply = await fetch(new URL(`key/${toHex(kid)}`, new URL(playlist, document.baseURI)));
      if (!reply.ok) throw new Error(`the key was refused: ${reply.status}`);
      return { kty: "oct", kid, k: toBase64(new Uint8Array(await reply.arrayBuffer())) };
    }),
  );
  return new TextEncoder().encode(JSON.stringify({ keys, type: "temporary" }));
}

function toHex(base64: string): string {
  const bytes = atob(base64.replaceAll("-", "+").replaceAll("_", "/"));
  return Array.from(bytes, (sign) => sign.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
