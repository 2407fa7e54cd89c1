// Figures that answer: values under the pointer, zoom, and a slider through a training's states.
// The drawn pictures stay until what draws anew is there; it is large, so it comes when wanted.
(() => {
  const bundle = document.currentScript.dataset.library;
  const slow = window.matchMedia("(prefers-reduced-motion: reduce)");
  const NARROW = 520;
  let library = null;
  let pointer = { x: 0, y: 0 };

  function fetched() {
    library ??= new Promise((done, fail) => {
      const script = document.createElement("script");
      script.src = bundle;
      script.onload = () => done(window.vegaEmbed);
      script.onerror = () => fail(new Error("the drawing library cannot be loaded"));
      document.head.append(script);
    });
    return library;
  }

  async function specification(figure) {
    const within = figure.querySelector("script[type='application/json']");
    if (within) return JSON.parse(within.textContent);
    const answer = await fetch(figure.dataset.spec);
    if (!answer.ok) throw new Error("the figure's data cannot be loaded");
    return answer.json();
  }

  // Nothing but the pictures that a specification holds itself.
  const refuse = () => Promise.reject(new Error("figures load nothing"));
  const loader = {
    load: refuse,
    http: refuse,
    file: refuse,
    sanitize: (uri) => (/^data:image\//.test(uri) ? Promise.resolve({ href: uri }) : refuse()),
  };

  // The picture is shown larger or smaller than it is drawn, which the library does not know: it
  // takes a place in the picture to be as far from the corner as on the screen.
  for (const kind of ["pointermove", "pointerdown", "pointerup", "wheel", "dblclick"]) {
    const note = (event) => (pointer = { x: event.clientX, y: event.clientY });
    window.addEventListener(kind, note, { capture: true, passive: true });
  }
  function unscaled(svg) {
    svg.getBoundingClientRect = () => {
      const shown = Element.prototype.getBoundingClientRect.call(svg);
      const scale = shown.width / Number(svg.getAttribute("width")) || 1;
      const left = pointer.x - (pointer.x - shown.left) / scale;
      const top = pointer.y - (pointer.y - shown.top) / scale;
      return new DOMRect(left, top, shown.width / scale, shown.height / scale);
    };
  }

  class Drawn {
    constructor(figure) {
      this.figure = figure;
      this.plate = figure.querySelector(".plate");
      this.view = null;
      this.opening = null;
      this.at = null;
    }

    open() {
      this.opening ??= this.draw().catch((error) => {
        console.warn(error.message);
        this.figure.classList.add("failed");
      });
      return this.opening;
    }

    async draw() {
      const [embed, spec] = await Promise.all([fetched(), specification(this.figure)]);
      delete spec.usermeta;
      if (spec.columns > 1 && this.plate.clientWidth < NARROW) spec.columns = 1;
      const first = (spec.params ?? []).find((param) => param.name === "at");
      if (first && this.at !== null) first.value = this.at;
      const place = document.createElement("div");
      place.className = "alive";
      place.hidden = true;
      this.plate.append(place);
      const options = { ast: true, actions: false, defaultStyle: false, renderer: "svg", loader };
      const tooltip = { disableDefaultStyle: true };
      const { view } = await embed(place, spec, { ...options, tooltip });
      const svg = place.querySelector("svg");
      place.style.setProperty("--natural", `${svg.getAttribute("width")}px`);
      unscaled(svg);
      for (const still of this.plate.children) still.hidden = still !== place;
      this.figure.classList.add("answers");
      this.view = view;
      if (this.at !== null) this.move(this.at);
    }

    // What is asked for while a state is drawn waits, and only the last of it.
    async move(at) {
      this.at = at;
      if (this.view === null || this.moving) return;
      this.moving = true;
      while (this.shown !== this.at) {
        this.shown = this.at;
        await this.view.signal("at", this.at).runAsync();
        await new Promise(requestAnimationFrame);
      }
      this.moving = false;
    }
  }

  class Course {
    constructor(drawn, bar) {
      this.drawn = drawn;
      this.bar = bar;
      this.name = `at-${bar.dataset.course}`;
      this.steps = bar.dataset.steps.split(" ").map(Number);
      this.slider = bar.querySelector("input");
      this.button = bar.querySelector("button");
      this.said = bar.querySelector("output");
      this.timer = null;
      bar.hidden = false;
      this.slider.addEventListener("input", () => {
        this.stop();
        this.show(Number(this.slider.value));
      });
      this.button.addEventListener("click", () => (this.timer ? this.stop() : this.play()));
      document.addEventListener("visibilitychange", () => document.hidden && this.stop());
      const asked = Number(new URL(location).searchParams.get(this.name) ?? NaN);
      if (Number.isFinite(asked)) this.show(this.nearest(asked), false);
    }

    nearest(step) {
      const apart = this.steps.map((other) => Math.abs(other - step));
      return apart.indexOf(Math.min(...apart));
    }

    show(place, keep = true) {
      const step = this.steps[place];
      this.slider.value = place;
      this.said.textContent = step.toLocaleString(document.documentElement.lang || "en");
      this.slider.setAttribute("aria-valuetext", `${this.said.textContent} ${this.bar.dataset.title}`);
      this.drawn.open();
      this.drawn.move(step);
      if (keep) this.keep(step);
    }

    // The address says where the slider stands; browsers let it change only so often.
    keep(step) {
      clearTimeout(this.keeping);
      this.keeping = setTimeout(() => {
        const address = new URL(location);
        address.searchParams.set(this.name, step);
        history.replaceState(history.state, "", address);
      }, 150);
    }

    play() {
      if (Number(this.slider.value) === this.steps.length - 1) this.show(0);
      const pause = slow.matches ? 1000 : Math.max(80, 9000 / this.steps.length);
      this.timer = setInterval(() => {
        const next = Number(this.slider.value) + 1;
        if (next < this.steps.length) this.show(next);
        if (next >= this.steps.length - 1) this.stop();
      }, pause);
      this.button.setAttribute("aria-pressed", "true");
    }

    stop() {
      clearInterval(this.timer);
      this.timer = null;
      this.button.setAttribute("aria-pressed", "false");
    }
  }

  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        near.unobserve(entry.target);
        figures.get(entry.target).open();
      }
    },
    { rootMargin: "200px" },
  );
  const figures = new Map();
  for (const figure of document.querySelectorAll("figure[data-spec]")) {
    const drawn = new Drawn(figure);
    figures.set(figure, drawn);
    const bar = figure.querySelector("[data-course]");
    if (bar) {
      new Course(drawn, bar);
      near.observe(figure);
    }
    const ask = figure.querySelector("[data-ask]");
    if (!ask) continue;
    ask.hidden = false;
    // Who asks one figure will ask others: the rest answer as they come into view.
    ask.addEventListener("click", () => {
      drawn.open();
      for (const each of figures.keys()) near.observe(each);
    });
  }
})();
