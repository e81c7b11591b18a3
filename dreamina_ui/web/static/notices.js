/* Notices for a visitor who looks elsewhere: the tab's title, and notifications for those who enabled them. */
"use strict";

dreamina.notices = (() => {
  const { words, say, element, tell, shorten, onCard, local, facts } = dreamina;
  const TITLE = "Dreamina UI";
  const WANTED = "notify";
  const TOLD = "notified";
  const ENDS = ["done", "failed", "submit_unclear"];
  const MOST_TOLD = 200;
  const active = new Map(); // job_id -> whether it is active
  let ended = null; // the newest job that ended while the tab was hidden

  onCard((_, data) => {
    const hasEnded = active.get(data.job_id) && !data.active;
    active.set(data.job_id, data.active);
    if (hasEnded && ENDS.includes(data.state)) {
      if (document.hidden) ended = data;
      notify(data);
    }
    showTitle();
  });

  function showTitle() {
    const count = [...active.values()].filter(Boolean).length;
    const mark = ended?.state === "done" ? "✓" : "!";
    const name = ended ? `${mark} ${ended.state_text} - ${shorten(ended.prompt)}` : TITLE;
    document.title = count ? `(${count}) ${name}` : name;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    ended = null;
    showTitle();
  });

  /* --- notifications: one per job however many tabs are open, and none for a job that ended in view */

  async function notify(data) {
    if (!isWanted()) return;
    const isSeen = !document.hidden;
    if (!isSeen) await new Promise((wait) => setTimeout(wait, 300)); // a visible tab goes first
    await navigator.locks.request(`dreamina.${facts.installation}.${TOLD}`, () => {
      const told = JSON.parse(local.get(TOLD)) || [];
      if (told.includes(data.job_id)) return;
      local.set(TOLD, JSON.stringify([data.job_id, ...told].slice(0, MOST_TOLD)));
      if (!isSeen && document.hidden) showNotification(data);
    });
  }

  function showNotification(data) {
    try {
      const shown = new Notification(data.state_text, { body: shorten(data.prompt), tag: data.job_id });
      shown.addEventListener("click", () => { window.focus(); shown.close(); });
    } catch { // browsers on phones offer them to service workers only
      local.set(WANTED, null);
      tell(words.notify_refused);
    }
  }

  function isWanted() {
    try {
      return local.get(WANTED) === "1" && Notification.permission === "granted";
    } catch {
      return false;
    }
  }

  async function ask(box) {
    if (box.checked && (await Notification.requestPermission()) !== "granted") {
      box.checked = false;
      return tell(words.notify_refused);
    }
    local.set(WANTED, box.checked ? "1" : "0");
  }

  // A page without https, or in a frame of another site, may lack these APIs.
  dreamina.formReady.then(() => {
    if (!("Notification" in window) || !navigator.locks) return;
    const box = element("input", { type: "checkbox" });
    box.checked = isWanted();
    box.addEventListener("change", () => ask(box).catch(() => { box.checked = false; }));
    const place = document.getElementById("own-key-frame");
    place?.before(element("label", { class: "notify" }, box, element("span", {}, words.notify)));
  });

  return {};
})();
