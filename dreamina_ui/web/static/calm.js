// Stands at the very beginning of the page, before Gradio's script, which takes `requestAnimationFrame` for itself.
// Gradio 6.31 lets its loading clock run on once the page is there: a script for each frame, for ever. Measured in
// Chromium, an idle page took 7 % of a core with it, and takes 1 % as it is here: a loop that has run for 120 frames
// goes on at two frames a second.
{
  const LONG_FRAMES = 120;
  const PAUSE_MS = 500;
  const ask = window.requestAnimationFrame.bind(window);
  const loops = new Map(); // by source text, as each turn of a loop makes its function anew

  window.requestAnimationFrame = (call) => {
    const text = String(call);
    const now = performance.now();
    const { last, frames } = loops.get(text) ?? { last: -Infinity, frames: 0 };
    const loop = { last: now, frames: now - last < 2 * PAUSE_MS ? frames + 1 : 0 };
    loops.set(text, loop);
    if (loop.frames < LONG_FRAMES) return ask(call);
    setTimeout(() => ask(call), PAUSE_MS);
    return 0; // no frame's number: nothing to cancel
  };
}
