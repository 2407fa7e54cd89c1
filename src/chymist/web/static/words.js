// words("about %(n)s s left", { n: 5 }): what a script says, in the language of the page.
{
  const known = JSON.parse(document.currentScript.dataset.words);
  globalThis.words = (text, values = {}) =>
    (known[text] ?? text).replace(/%\((\w+)\)s/g, (_, name) => String(values[name]));
}
