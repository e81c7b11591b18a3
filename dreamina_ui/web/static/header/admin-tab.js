/* The owner's tab: its name comes with a response to the owner alone, its modules and texts when it is first opened. */

import { define } from "../core/dom.js";
import { router } from "../core/router.js";
import { words } from "../core/words.js";
import { terms } from "../form/price.js";
import { form } from "../form/state.js";

/** Follow from now on who is at the page, and which tab is open. */
export function startAdminTab() {
  terms.addEventListener("change", follow);
  router.addEventListener("change", follow);
  follow();
}

async function follow() {
  if (!terms.quota) return; // not known yet
  const { is_owner: isOwner, owner_words: texts } = terms.quota;
  if (isOwner) Object.assign(words, texts);
  const isNew = isOwner && !form.hasAdmin;
  form.setAdmin(isOwner);
  if (router.state.tab !== "admin") return;
  if (!isOwner) return router.go({ tab: "create" }, { replace: true });
  if (isNew) form.showTab();
  try {
    const { Admin } = await import("../admin/admin.js");
    define("dreamina-admin", Admin);
  } catch { /* no connection: repeated with the next news about who is at the page */ }
}
