// The colour theme: the system's unless the switch says otherwise. Runs before the first paint, so nothing flashes.

type Theme = "system" | "light" | "dark";

const KEY = "headwater:theme";
const ORDER: readonly Theme[] = ["system", "light", "dark"];
const NAMES: Record<Theme, string> = { system: "as the system", light: "light", dark: "dark" };

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return ORDER.find((theme) => theme === value) ?? "system";
  } catch {
    return "system"; // storage is switched off
  }
}

function show(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-theme-switch]")) {
    button.dataset["now"] = theme;
    button.title = `Theme: ${NAMES[theme]}`;
    button.setAttribute("aria-label", `Theme: ${NAMES[theme]}. Change`);
    button.hidden = false;
  }
}

function next(): void {
  const theme = ORDER[(ORDER.indexOf(stored()) + 1) % ORDER.length] ?? "system";
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // The choice lasts for this page only.
  }
  show(theme);
}

show(stored());
document.addEventListener("DOMContentLoaded", () => {
  show(stored());
  for (const button of document.querySelectorAll("[data-theme-switch]")) button.addEventListener("click", next);
});
