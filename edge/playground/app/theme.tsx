/** Light, dark, or as the system has it. */
import { useState } from "preact/hooks";
import { Icon } from "./icons.tsx";

const themes = ["auto", "light", "dark"] as const;
type Theme = (typeof themes)[number];
const place = "omni-iml.theme";
const icons = { auto: "auto", light: "sun", dark: "moon" } as const;

function chosen(): Theme {
  try {
    const kept = localStorage.getItem(place);
    return themes.find((theme) => theme === kept) ?? "auto";
  } catch {
    return "auto";
  }
}

function apply(theme: Theme): void {
  document.documentElement.style.colorScheme = theme === "auto" ? "light dark" : theme;
}

apply(chosen());

export function ThemeButton() {
  const [theme, setTheme] = useState(chosen);
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? "auto";
  const change = () => {
    setTheme(next);
    apply(next);
    try {
      localStorage.setItem(place, next);
    } catch {
      // Not kept, then.
    }
  };
  const label = `Colours: ${theme === "auto" ? "as the system" : theme}. Change to ${next === "auto" ? "as the system" : next}`;
  return (
    <button type="button" class="button is-quiet is-icon" onClick={change} aria-label={label} title={label}>
      <Icon name={icons[theme]} />
    </button>
  );
}
