// Finding elements, and saying which one is missing when a template and a script disagree.

export function find<T extends Element = HTMLElement>(selector: string, root: ParentNode = document): T {
  const found = root.querySelector<T>(selector);
  if (!found) throw new Error(`no ${selector} in this page`);
  return found;
}

/** Writes only what changed, so that a reader of the page is not told the same thing twice. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function fill(root: ParentNode, name: string, text: string): void {
  for (const place of root.querySelectorAll(`[data-fill="${name}"]`)) setText(place, text);
}
