"""The codes of all problems that an HTTP reply can carry, with a title and what to do about it. Served at /v1/problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemKind:
    status: int
    title: str
    remedy: str


PROBLEMS: Mapping[str, ProblemKind] = {
    "bad_request": ProblemKind(400, "Bad request", "Change the request as the detail says."),
    "malformed_json": ProblemKind(400, "Malformed JSON", "Send a body that is valid JSON, in UTF-8."),
    "bad_cursor": ProblemKind(400, "Not a cursor", "Use a next_cursor exactly as the list returned it, or start from the first page."),
    "bad_if_match": ProblemKind(400, "Not an entity tag", "Send If-Match with the ETag exactly as it was returned."),
    "bad_idempotency_key": ProblemKind(400, "Not an idempotency key", "Send 1 to 255 visible ASCII characters, and no upload bytes."),
    "bad_time": ProblemKind(400, "Not a time of the video", "Send seconds from 0 to the length of the video."),
    "bad_width": ProblemKind(400, "Not a width of thumbnails", "Ask for one of the widths that the detail lists."),
    "unknown_download": ProblemKind(400, "Not a file that can be made", "Ask for one of the files that the detail lists."),
    "body_broken": ProblemKind(400, "The body broke off", "Ask for the offset (HEAD), then continue there."),
    "import_refused": ProblemKind(400, "Address not fetched", "Use a public http or https address without a password in it."),
    "unauthorized": ProblemKind(401, "Not signed in", "Send an API key as “Authorization: Bearer hw_…”."),
    "invalid_key": ProblemKind(401, "Unknown API key", "Use a key that exists and was not revoked."),
    "forbidden": ProblemKind(403, "Not allowed", "Use a key that may do this."),
    "cross_origin": ProblemKind(403, "Request from another site", "Use an API key instead of a browser session, or this site's own pages."),
    "wrong_host": ProblemKind(403, "Wrong host name", "Open the studio under 127.0.0.1 or localhost."),
    "inside_only": ProblemKind(403, "Not from outside", "Ask from this machine or its network, or set HEADWATER_METRICS to open."),
    "signature_required": ProblemKind(403, "Signed address needed", "Use a signed playback address."),
    "key_required": ProblemKind(403, "API key needed", "Send an API key instead of a browser session."),
    "not_found": ProblemKind(404, "Not found", "Check the id."),
    "no_route": ProblemKind(404, "No such address", "Check the path against /v1/openapi.json."),
    "asset_not_found": ProblemKind(404, "No such asset", "Check the id; the asset may have been deleted."),
    "upload_not_found": ProblemKind(404, "No such upload", "Use the address exactly as it was returned."),
    "track_not_found": ProblemKind(404, "No such track", "List the tracks of the asset; this one may have been deleted."),
    "download_not_found": ProblemKind(404, "No such file", "List the downloads of the asset; this one may have been deleted."),
    "playback_not_found": ProblemKind(404, "No such video", "Check the playback id; the video may have been deleted."),
    "not_playable": ProblemKind(404, "Not playable yet", "Wait until the asset says “playable”: true."),
    "method_not_allowed": ProblemKind(405, "Method not allowed", "Use one of the methods that the Allow header lists."),
    "body_stalled": ProblemKind(408, "The body fell silent", "Ask for the offset (HEAD), then continue there."),
    "encrypted": ProblemKind(409, "The video is encrypted", "Play it with its key; there is no clear copy."),
    "not_ready": ProblemKind(409, "Not ready yet", "Ask again when the status of the asset is `ready`."),
    "conflict": ProblemKind(409, "Conflict", "Read the resource again, then decide."),
    "wrong_status": ProblemKind(409, "Wrong status", "The asset has moved on; read it again."),
    "wrong_offset": ProblemKind(409, "Wrong offset", "Ask for the offset (HEAD), then continue there."),
    "length_conflict": ProblemKind(409, "Another length", "Send as many bytes as were announced, or create a new upload."),
    "upload_taken_over": ProblemKind(409, "Taken over", "Ask for the offset (HEAD), then continue there."),
    "upload_complete": ProblemKind(409, "Already complete", "Nothing is left to send."),
    "idempotency_running": ProblemKind(409, "Still running", "The first request with this key has not finished; repeat in a moment."),
    "too_many_tracks": ProblemKind(409, "Too many tracks", "Delete a track of the asset first."),
    "secret_shown_once": ProblemKind(409, "Secret already shown", "The key was created; its secret cannot be shown again. Create another."),
    "gone": ProblemKind(410, "Gone", "It existed, and is no more."),
    "asset_deleted": ProblemKind(410, "Asset deleted", "Create a new upload."),
    "upload_cancelled": ProblemKind(410, "Upload cancelled", "Create a new upload."),
    "upload_expired": ProblemKind(410, "Upload expired", "Create a new upload, and send something before Upload-Expires."),
    "upload_errored": ProblemKind(410, "Upload failed", "Create a new upload; GET /v1/uploads/{id} says why this one failed."),
    "upload_lost": ProblemKind(410, "Bytes lost", "The object store lost parts of this upload. Create a new upload."),
    "precondition_failed": ProblemKind(412, "Changed meanwhile", "Read the asset again, then decide whether your change still applies."),
    "tus_version": ProblemKind(412, "Another tus version", "Send Tus-Resumable: 1.0.0."),
    "body_too_large": ProblemKind(413, "Body too large", "Send a smaller body; video belongs to an upload address."),
    "too_large": ProblemKind(413, "Too large", "The limit is a setting of this installation (HEADWATER_MAX_UPLOAD_BYTES)."),
    "unsupported_media_type": ProblemKind(415, "Unsupported content type", "Send the content type that the route documents."),
    "unreadable_text": ProblemKind(422, "Unreadable text file", "Send SRT, WebVTT, ASS, SSA or TTML; the detail names the line."),
    "validation_failed": ProblemKind(422, "Invalid input", "Each entry of errors says what is wrong and where."),
    "idempotency_mismatch": ProblemKind(422, "Another request under the same key", "Use a new Idempotency-Key for a new request."),
    "upload_locked": ProblemKind(423, "Another request is sending", "Wait as Retry-After says, then ask for the offset (HEAD)."),
    "upload_quota": ProblemKind(429, "Too much unfinished", "Finish or delete uploads of this key, or wait as Retry-After says."),
    "too_many_requests": ProblemKind(429, "Too many requests", "Wait as Retry-After says, then go on more slowly."),
    "headers_too_large": ProblemKind(431, "Headers too large", "Send fewer or shorter headers."),
    "checksum_mismatch": ProblemKind(460, "Checksum mismatch", "Send the same bytes again; nothing of them was kept."),
    "too_many_events": ProblemKind(429, "Too many events", "Send fewer events, or send them from a server with an API key."),
    "http_error": ProblemKind(400, "Refused", "The detail says why."),
    "internal": ProblemKind(500, "Internal error", "Report the request id; the log has the rest."),
    "storage_refused": ProblemKind(500, "The object store refused", "Check the credentials and the bucket of this installation."),
    "not_made_yet": ProblemKind(503, "Still being made", "Repeat the request after the seconds that Retry-After names."),
    "storage_unavailable": ProblemKind(503, "The object store is away", "Repeat the request after the seconds that Retry-After names."),
    "database_unavailable": ProblemKind(503, "The database is away", "Repeat the request after the seconds that Retry-After names."),
    "scratch_unavailable": ProblemKind(503, "No working space", "Make room on the API's disk, then repeat the request."),
    "key_unavailable": ProblemKind(503, "A key cannot be opened", "Start this installation with the HEADWATER_SECRET_KEY that it had."),
    "unavailable": ProblemKind(503, "Temporarily unavailable", "Repeat the request after the seconds that Retry-After names."),
}


def table() -> str:
    """The codes as the Markdown table of docs/api.md."""
    rows = [f"| `{code}` | {kind.status} | {kind.title}. | {kind.remedy} |" for code, kind in PROBLEMS.items()]
    return "\n".join(["| code | status | meaning | what to do |", "|---|---|---|---|", *rows]) + "\n"
