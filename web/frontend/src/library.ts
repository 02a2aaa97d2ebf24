// The library page: the server's list, kept up to date, searched, and added to.

import { type Asset, type Page, Refused, deleteAsset, listAssets } from "./library/api";
import { Captions } from "./library/captions";
import { Dock } from "./library/dock";
import { watchDrops } from "./library/drop";
import { follow } from "./library/feed";
import { Shelf } from "./library/shelf";
import { type Item, UploadQueue, findUnfinished, isOpen } from "./library/uploads";
import { viewOfAsset, viewOfUpload } from "./library/view";
import { copy, embedCode, watchCopyButtons } from "./shared/copy";
import { fill, find, setText } from "./shared/dom";
import { watchPreviews } from "./shared/preview";
import { toast } from "./shared/toast";

const UNDO_MS = 7000;
const TYPING_MS = 250;

const main = find("[data-library]");
const origin = main.dataset["origin"] ?? location.origin;
const chooser = find<HTMLInputElement>("[data-file]");
const more = find<HTMLAnchorElement>("[data-more]");
const shelf = new Shelf(() => showRest());
const captions = new Captions();
watchPreviews();
const leaving = new Map<string, number>(); // assets whose deletion waits for an undo
const announced = new Set<string>();
let query = main.dataset["query"] ?? "";
let cursor = main.dataset["cursor"] ?? "";

// What is around the grid

function showRest(): void {
  const count = shelf.size - leaving.size;
  find("[data-empty]").hidden = count > 0 || query !== "";
  find("[data-no-match]").hidden = count > 0 || query === "";
  more.hidden = cursor === "";
  setText(find("[data-count]"), count === 0 || cursor ? "" : count === 1 ? "1 video" : `${count} videos`);
}

// Uploads

const queue = new UploadQueue(showItem, (item, assetId) => {
  shelf.rename(item.key, assetId);
  showItem(item);
});
const dock = new Dock(
  () => queue.all.filter(isOpen).forEach((item) => queue.pause(item.key)),
  () => queue.all.filter(isOpen).forEach((item) => queue.resume(item.key)),
);

function showItem(item: Item): void {
  dock.show(queue.all);
  const id = item.assetId ?? item.key;
  if (item.state === "cancelled") shelf.remove(id);
  else if (item.state !== "done" && (query === "" || shelf.card(id))) {
    const { title, sent, rate, problem } = item;
    shelf.show(id, viewOfUpload({ state: item.state, title, sent, rate, problem, total: item.file.size }), true);
  }
}

async function addFiles(files: readonly File[], folders = false): Promise<void> {
  if (folders) toast("Folders cannot be uploaded; drop the files in them.");
  for (const file of files) {
    if (!(await queue.add(file))) toast(`“${file.name}” is being uploaded already.`);
  }
}

function choose(): void {
  chooser.value = "";
  chooser.click();
}

chooser.addEventListener("change", () => void addFiles([...(chooser.files ?? [])]));
for (const button of document.querySelectorAll("[data-choose]")) button.addEventListener("click", choose);
watchDrops((files, folders) => void addFiles(files, folders));

async function showUnfinished(): Promise<void> {
  for (const { assetId, title, sent, total } of await findUnfinished()) {
    if (queue.of(assetId) || !shelf.card(assetId)) continue;
    shelf.show(assetId, viewOfUpload({ state: "interrupted", title, sent, total, rate: 0, problem: "" }));
  }
}

// Changes on the server

/** Whether this is one of our uploads, of which the server told everybody before it told us. The answer to us is on its way. */
function isOurs(asset: Asset): boolean {
  const begun = asset.status === "waiting" || asset.status === "uploading";
  return begun && queue.all.some((item) => isOpen(item) && item.assetId === null && item.title === asset.title);
}

async function catchUp(): Promise<void> {
  for (const asset of (await listAssets(query, "")).data) onAsset(asset);
}

function onAsset(asset: Asset): void {
  if (asset.status === "deleted") {
    if (!leaving.has(asset.id)) shelf.remove(asset.id);
    return;
  }
  const item = queue.of(asset.id);
  if (item && isOpen(item)) return; // this page knows more about it than the server
  const card = shelf.card(asset.id);
  if (!card && isOurs(asset)) return;
  if (!card && (query !== "" || (cursor !== "" && asset.id < shelf.lastId))) return;
  const view = viewOfAsset(asset);
  if (card?.dataset["state"] === "interrupted" && view.state === "receiving") return;
  shelf.show(asset.id, view, true);
  if (item && asset.playable && !announced.has(asset.id)) {
    announced.add(asset.id);
    toast(`“${asset.title}” can be watched now.`, { label: "Watch", act: () => location.assign(`/watch/${view.playbackId}`) });
  }
}

// What the buttons of a card do

function removeLater(id: string, title: string): void {
  shelf.hide(id, true);
  const restore = (): void => {
    clearTimeout(leaving.get(id));
    leaving.delete(id);
    shelf.hide(id, false);
  };
  const finish = async (): Promise<void> => {
    try {
      await deleteAsset(id);
      leaving.delete(id);
      shelf.card(id)?.remove();
      showRest();
    } catch (error) {
      restore();
      toast(error instanceof Refused ? error.message : "It could not be deleted.");
    }
  };
  leaving.set(id, window.setTimeout(() => void finish(), UNDO_MS));
  showRest();
  toast(`“${title}” is deleted.`, { label: "Undo", act: restore }, UNDO_MS);
}

addEventListener("pagehide", () => {
  for (const [id, timer] of leaving) {
    clearTimeout(timer);
    void deleteAsset(id, true).catch(() => undefined);
  }
});

async function cancel(id: string): Promise<void> {
  const item = queue.of(id);
  if (item && (await queue.cancel(item.key))) return;
  const assetId = item ? item.assetId : id;
  if (!assetId) return;
  try {
    await deleteAsset(assetId);
    shelf.remove(assetId);
  } catch (error) {
    toast(error instanceof Refused ? error.message : "It could not be cancelled.");
  }
}

function act(what: string, card: HTMLElement): void {
  const id = card.dataset["asset"] ?? "";
  const playbackId = card.dataset["playback"] ?? "";
  const title = card.querySelector(".card-title")?.textContent?.trim() ?? "";
  const item = queue.of(id);
  const actions: Readonly<Record<string, () => void>> = {
    pause: () => item && queue.pause(item.key),
    resume: () => item && queue.resume(item.key),
    cancel: () => void cancel(id),
    continue: choose,
    captions: () => void captions.open(id, title),
    delete: () => removeLater(id, title),
    "copy-link": () => void copy(`${origin}/watch/${playbackId}`, "Link copied"),
    "copy-embed": () => void copy(embedCode(origin, playbackId, title), "Embed code copied"),
  };
  actions[what]?.();
}

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const open = [...document.querySelectorAll<HTMLDetailsElement>(".card-menu[open]")];
  const button = target?.closest<HTMLElement>("[data-do]");
  const card = button?.closest<HTMLElement>(".card");
  for (const menu of open) if (button || !menu.contains(target)) menu.open = false;
  if (button && card) act(button.dataset["do"] ?? "", card);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll<HTMLDetailsElement>(".card-menu[open]")) {
    menu.open = false;
    menu.querySelector("summary")?.focus();
  }
});

// Searching and going on

function addPage(page: Page): void {
  cursor = page.next_cursor ?? "";
  for (const asset of page.data) if (!leaving.has(asset.id)) shelf.show(asset.id, viewOfAsset(asset));
  showRest();
}

const box = find<HTMLInputElement>("[data-search] input");
let typing = 0;
let asking = new AbortController();

async function search(): Promise<void> {
  const asked = box.value.trim();
  if (asked === query) return;
  asking.abort();
  asking = new AbortController();
  try {
    const page = await listAssets(asked, "", asking.signal);
    query = asked;
    fill(document, "query", query);
    history.replaceState(null, "", query ? `/?q=${encodeURIComponent(query)}` : "/");
    shelf.clear((id) => query === "" && queue.of(id) !== undefined && isOpen(queue.of(id) as Item));
    addPage(page);
  } catch (error) {
    if (error instanceof Refused) toast(error.message);
  }
}

box.addEventListener("input", () => {
  clearTimeout(typing);
  typing = window.setTimeout(() => void search(), TYPING_MS);
});
find("[data-search]").addEventListener("submit", (event) => {
  event.preventDefault();
  void search();
});
more.addEventListener("click", (event) => {
  event.preventDefault();
  listAssets(query, cursor).then(addPage, (error: unknown) => toast(error instanceof Refused ? error.message : "The list could not be read."));
});

watchCopyButtons();
follow(onAsset, () => void catchUp().catch(() => undefined));
void showUnfinished().catch(() => undefined);
