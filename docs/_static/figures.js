// Draws the plotly figures of a page when they come into view, and frees those that are far away:
// a browser allows about 16 WebGL drawings at a time.
window.kitFigures = {};

(() => {
  const own = document.currentScript.src;
  const loaded = {};
  const load = (file) => loaded[file] ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = new URL(file, own).href;
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });

  const draw = async (element) => {
    const name = element.dataset.figure;
    await load("plotly.min.js");
    await load(`figures/${name}.js`);
    if (!element.near || element.drawn) return;
    element.drawn = true;
    const { data, layout } = window.kitFigures[name];
    Plotly.newPlot(element, structuredClone(data), structuredClone(layout), { responsive: true });
  };

  const free = (element) => {
    if (!element.drawn) return;
    element.drawn = false;
    Plotly.purge(element);
  };

  document.addEventListener("DOMContentLoaded", () => {
    const seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        target.near = isIntersecting;
        (isIntersecting ? draw : free)(target);
      }
    }, { rootMargin: "600px" });
    document.querySelectorAll(".plotly-figure").forEach((element) => seen.observe(element));
  });
})();
