// Runs before Gradio's script, which stores a reference to `requestAnimationFrame`. Gradio 6.31 keeps its loading timer
// running once the page is there, and an idle page would use CPU time on every frame. A loop that has run for 120 frames
// continues at two frames a second.
{
  const LONG_FRAMES = 120;
  const PAUSE_MS = 500;
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
}
