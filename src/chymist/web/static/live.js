// One event stream a page, while the page is seen: browsers allow few connections to a server.

function follow(address, heard) {
  let source = null;
  function open() {
    if (source === null && !document.hidden) {
      source = new EventSource(address);
      for (const [event, hear] of Object.entries(heard)) {
        source.addEventListener(event, (message) => hear(JSON.parse(message.data), close));
      }
    }
  }
  function pause() {
    if (source !== null) {
      source.close();
      source = null;
    }
  }
  function seen() {
    if (document.hidden) pause();
    else open();
  }
  function close() {
    pause();
    document.removeEventListener("visibilitychange", seen);
  }
  document.addEventListener("visibilitychange", seen);
  // A page that goes into the history keeps its stream otherwise.
  window.addEventListener("pagehide", pause);
  window.addEventListener("pageshow", seen);
  open();
}

function timeLeft(seconds) {
  if (seconds === null) return "";
  if (seconds < 90) return words("about %(n)s s left", { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 5400) return words("about %(n)s min left", { n: Math.round(seconds / 60) });
  return words("about %(n)s h left", { n: Math.round(seconds / 3600) });
}

const STATES = {
  waiting: (run) => words("Waiting for its turn, number %(place)s.", run),
  computing: () => words("Computing."),
  stopping: () => words("Stopping."),
};

function say(element, text) {
  // Assistive technology reads what changes, and nothing that stays.
  if (element.textContent !== text) element.textContent = text;
}

function followRun(section) {
  const part = (name) => section.querySelector(`[data-${name}]`);
  let sealed = Number(section.dataset.sealed);
  const state = (run, close) => {
    if (!(run.state in STATES)) {
      close();
      location.reload();
      return;
    }
    say(part("state"), STATES[run.state](run));
    part("whole").max = run.chunks;
    part("whole").value = run.sealed;
    say(part("count"), words("%(sealed)s of %(chunks)s", run));
    say(part("doing"), run.doing ? words("%(doing)s, %(done)s of %(steps)s", run) : "");
    say(part("left"), timeLeft(run.left));
    part("notice").hidden = !run.notice;
    say(part("notice"), run.notice);
    if (run.sealed > sealed) {
      sealed = run.sealed;
      look(section.dataset.early);
    }
  };
  // What is drawn of it is for another script: see curves.js.
  const drawn = (news) => document.dispatchEvent(new CustomEvent("drawn", { detail: news }));
  follow(section.dataset.run, { state, drawn });
}

async function look(address) {
  const answer = await fetch(address);
  if (answer.ok) {
    const place = document.querySelector("[data-look]");
    place.innerHTML = await answer.text();
  }
}

function followQueue(section) {
  const list = section.querySelector("ol");
  const queue = (runs) => {
    section.hidden = runs.length === 0;
    list.replaceChildren(
      ...runs.map((run) => {
        const item = document.createElement("li");
        const link = document.createElement("a");
        link.href = `/runs/${run.run}`;
        link.textContent = run.title;
        link.lang = run.tongue;
        const how = document.createElement("span");
        how.className = "soft";
        const far = words("%(sealed)s of %(chunks)s chunks", run);
        const waits = words("waits, turn %(place)s", run);
        how.textContent = run.state === "waiting" ? waits : [far, timeLeft(run.left)].join(", ");
        item.append(link, " ", how);
        return item;
      }),
    );
  };
  follow(section.dataset.queue, { queue });
}

// When every script of the page is there to hear of what comes.
document.addEventListener("DOMContentLoaded", () => {
  for (const section of document.querySelectorAll("[data-run]")) followRun(section);
  for (const section of document.querySelectorAll("[data-queue]")) followQueue(section);
});
