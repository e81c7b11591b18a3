/* Runs inside the page, before Gradio's own script. Gradio (6.31) reads the language once, at its start; it keeps a
 * loading timer running on every frame once the page is there; and where our modules do not load, nothing else could
 * say so. What is seen until then (loading.css) depends on the tab that the URL names. */
{
  const { language, loadFailed, reload } = document.currentScript.dataset;
  document.documentElement.dataset.opens = /^#\/(\w+)/.exec(location.hash)?.[1] ?? "create";
  Object.defineProperty(navigator, "language", { value: language });

  const LONG_FRAMES = 120; // a loop that has run for so many frames continues at two frames a second
  const PAUSE_MS = 500;
  const LOAD_MS = 30000;
  const ask = window.requestAnimationFrame.bind(window);
  const loops = new Map(); // by source text: each iteration of a loop creates a new function

  window.requestAnimationFrame = (call) => {
    const text = String(call);
    const now = performance.now();
    const { last, frames } = loops.get(text) ?? { last: -Infinity, frames: 0 };
    const loop = { last: now, frames: now - last < 2 * PAUSE_MS ? frames + 1 : 0 };
    loops.set(text, loop);
    if (loop.frames < LONG_FRAMES) return ask(call);
    setTimeout(() => ask(call), PAUSE_MS);
    return 0; // not a frame id: nothing to cancel
  };

  const sayFailed = () => {
    if (document.getElementById("load-failed")) return;
    const note = document.createElement("div");
    const link = document.createElement("a");
    note.id = "load-failed";
    note.setAttribute("role", "alert");
    note.style.cssText = "padding: 0.8rem 1rem; text-align: center; background: #fbf3dd; color: #62450a; font: 16px/1.4 system-ui";
    link.href = "";
    link.textContent = reload;
    link.style.color = "inherit";
    note.append(`${loadFailed} `, link);
    document.body.prepend(note);
    document.getElementById("loading")?.remove();
  };
  const sayUnlessReady = () => document.documentElement.dataset.dreamina !== "ready" && sayFailed();
  window.addEventListener("error", (event) => event.target.id === "dreamina-main" && setTimeout(sayUnlessReady), true);
  window.addEventListener("load-failed", sayFailed); // a part that is loaded later
  setTimeout(sayUnlessReady, LOAD_MS);
}
