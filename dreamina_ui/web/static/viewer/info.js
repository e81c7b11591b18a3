/* What there is to know of an image, and what one can do from it. */

import { button, element, icon } from "../core/dom.js";
import { canEdit, canReuse } from "../core/actions.js";
import { isOffered, sendsFiles } from "../core/offers.js";
import { costOf, duration, moment, words } from "../core/words.js";
import { tell } from "../core/toast.js";
import { restActions } from "../feed/details-actions.js";
import { fetchJob, knownJob } from "./details.js";
import { ratingPart } from "./rating.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {import("../core/types.js").Job} Job */

export class Info {
  /** @param {(action: string) => void} onAction an image action */
  constructor(onAction) {
    this.onAction = onAction;
    this.node = element("aside", { class: "info", "aria-label": words.viewer_info, tabindex: "0", hidden: true });
    this.key = "";
  }

  /**
   * Show what is known of an image at once, and the rest when the server has sent it.
   * @param {ImageItem} item
   * @param {boolean} isWanted whether the panel is open; that of an image without a file always is
   * @param {() => boolean} isShown whether the image is still the one that is shown
   */
  async showFor(item, isWanted, isShown) {
    this.node.hidden = !isWanted && Boolean(item.original);
    if (this.node.hidden) return;
    const job = knownJob(item);
    this.show(item, job);
    if (job?.finished_at || job?.active) return;
    const details = await fetchJob(item.job_id);
    if (details && isShown()) this.show(item, details);
  }

  /** @param {ImageItem} item @param {Job | null} job null while it is not known */
  show(item, job) {
    const key = JSON.stringify([item.id, job?.version, item.is_favorite, item.rating]);
    if (key === this.key) return;
    this.key = key;
    if (!job) return this.node.replaceChildren(element("p", { class: "info-prompt", dir: "auto" }, item.alt));
    const output = job.outputs.find(({ index }) => index === item.index);
    this.node.replaceChildren(
      element("div", { class: "info-head" }, element("p", { class: "info-prompt", dir: "auto" }, job.prompt), this._copy(job.prompt)),
      element("p", { class: "info-settings" }, [job.model, job.settings].filter(Boolean).join(" · ")),
      ...(job.message ? [element("p", { class: "info-message" }, job.message)] : []),
      ...(job.detail ? [element("p", { class: "info-detail", lang: "en" }, job.detail)] : []),
      ...(item.original && isOffered("rate-1", item) ? [ratingPart(item, this.onAction)] : []),
      this._actions(item, job),
      ...(job.can_archive ? [restActions(job)] : []),
      list([
        [words.library_state, job.state_text],
        [words.detail_created, moment(job.created_at)],
        [words.detail_duration, job.finished_at ? duration(job.finished_at - job.created_at, 1) : ""],
        [words.detail_cost, [costOf(job) || words.unknown, job.own_key && words.own_key_job].filter(Boolean).join(" · ")],
        [words.detail_file, output?.facts],
      ]),
      element("details", {}, element("summary", {}, words.viewer_file_details), list([
        ["SHA-256", output?.sha256],
        [words.detail_model, job.model_id],
        [words.detail_request, job.request_id],
        [words.viewer_job_id, job.job_id],
      ])),
    );
  }

  /** @param {ImageItem} item @param {Job} job */
  _actions(item, job) {
    const isReusable = canReuse(job);
    const output = job.outputs.find(({ index }) => index === item.index);
    const isStored = Boolean(item.original);
    /** @type {[string, string, unknown][]} */
    const actions = [
      ["reuse", words.again, isReusable],
      ["rerun", words.rerun, isReusable && job.state === "done"],
      ["change-size", words.another_size, isReusable],
      ["edit", words.use_as_input, isStored && item.kind === "image" && canEdit()],
      ["share-link", words.share_link_create, isStored && sendsFiles()],
      ["copy-link", words.copy_link, isReusable],
      ["download-with-settings", words.download_with_settings, output?.with_settings],
      ["retry-download", words.fetch_again, job.can_fetch_again],
      ["restore", words.bring_back, isStored],
      ["delete", words.delete, isStored],
    ];
    const buttons = actions.filter(([action, , isPossible]) => isPossible && isOffered(action, item)).map(([action, text]) =>
      button(text, () => this.onAction(action), { class: action === "delete" ? "danger" : "", "data-action": action }));
    return element("div", { class: "info-actions" }, ...buttons);
  }

  /** @param {string} prompt */
  _copy(prompt) {
    const node = button("", async () => {
      await navigator.clipboard?.writeText(prompt);
      tell(words.viewer_copied);
    }, { class: "quiet", "aria-label": words.viewer_copy_prompt, title: words.viewer_copy_prompt });
    node.append(icon("copy"));
    node.hidden = !navigator.clipboard; // pages without https have none
    return node;
  }
}

/** @param {[string, unknown][]} rows */
function list(rows) {
  const node = element("dl");
  for (const [name, value] of rows) if (value) node.append(element("dt", {}, name), element("dd", {}, String(value)));
  return node;
}
