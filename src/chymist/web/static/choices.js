// A reader's choices. A server learns of a theme by a cookie and writes it into its pages; a page
// that is a file remembers it by itself, and sets it here, before anything is drawn.
(() => {
  const root = document.documentElement;
  const served = document.currentScript.dataset.served === "yes";
  const name = "chymist-theme";

  function kept() {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // a browser that keeps nothing
    }
  }
  function keep(theme) {
    if (served) {
      document.cookie = `${name}=${theme}; Path=/; Max-Age=31536000; SameSite=Strict`;
      return;
    }
    try {
      localStorage.setItem(name, theme);
    } catch {
      // then it lasts as long as the page
    }
  }
  function show(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
    for (const button of document.querySelectorAll(".themes button")) {
      button.setAttribute("aria-pressed", String(button.value === (root.dataset.theme ?? "auto")));
    }
  }
  if (!served) show(kept());

  document.addEventListener("DOMContentLoaded", () => {
    for (const themes of document.querySelectorAll(".themes")) {
      themes.hidden = false;
      themes.addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (button === null) return;
        event.preventDefault();
        keep(button.value);
        show(button.value);
      });
    }
    show(root.dataset.theme);
    // The other language shows the page as it stands, with what figures wrote into its address.
    for (const link of document.querySelectorAll("a[data-here]")) {
      link.addEventListener("click", () => {
        const there = new URL(link.href);
        there.search = location.search;
        if (served) there.searchParams.set("lang", link.dataset.here);
        there.hash = location.hash;
        link.href = there.href;
      });
    }
  });
})();
