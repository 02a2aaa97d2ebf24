// Reads playlists as JSON on standard input ({"name": "text"}) and says what hls-parser, in strict mode, makes of each.
// The argument is the folder whose node_modules has hls-parser.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const HLS = createRequire(process.argv[2] + "/package.json")("hls-parser");
HLS.setOptions({ strictMode: true });
const said = {};
for (const [name, playlist] of Object.entries(JSON.parse(await text(process.stdin)))) {
  try {
    const found = HLS.parse(playlist);
    said[name] = found.isMasterPlaylist
      ? { variants: found.variants.map((each) => ({ iframe: each.isIFrameOnly, bandwidth: each.bandwidth, average: each.averageBandwidth, codecs: each.codecs, size: each.resolution, rate: each.frameRate, audio: each.audio.map((one) => one.uri), uri: each.uri })) }
      : { target: found.targetDuration, iframes: found.isIFrame, vod: found.playlistType, ended: found.endlist, durations: found.segments.map((each) => each.duration), uris: found.segments.map((each) => each.uri), maps: found.segments.map((each) => each.map?.uri) };
  } catch (error) {
    said[name] = { refused: String(error.message) };
  }
}
console.log(JSON.stringify(said));
