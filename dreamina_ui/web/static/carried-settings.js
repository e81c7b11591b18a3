/* Settings out of a picture that somebody gives by button, paste or drop; it is read in the browser and never sent. */
"use strict";

dreamina.carriedSettings = (() => {
  const { facts, words, say, element, post, tell, useSettings } = dreamina;
  const OWN_FILE = /\/dreamina\/files\/([0-9a-f]{32})\//;

  async function take(file) {
    const settings = await dreaminaMetadata.read(file);
    const inputs = settings?.inputs;
    if (inputs && typeof inputs === "object" && !Array.isArray(inputs)) return fill(settings.model_id, inputs);
    const sha256 = await dreaminaMetadata.sha256(file);
    return takeKnown(sha256 && { sha256 });
  }

  async function takeKnown(query) {
    const { answer } = query ? await post("library/find", query) : {};
    if (answer) useSettings(answer.model_id, answer.parameters);
    else tell(words.settings_unknown);
  }

  // Anybody can write anything into a file: what does not fit the form is left out, and named.
  function fill(modelId, inputs) {
    const fields = facts.models.find((model) => model.model_id === modelId)?.fields || [];
    const given = fields.filter((field) => Object.hasOwn(inputs, field.key) && inputs[field.key] !== null);
    const [taken, leftOut] = [given.filter((field) => fits(field, inputs[field.key])), given.filter((field) => !fits(field, inputs[field.key]))];
    const note = leftOut.length ? `${words.settings_taken} ${say("settings_left_out", { fields: leftOut.map((field) => field.key).join(", ") })}` : words.settings_taken;
    useSettings(typeof modelId === "string" ? modelId : "", Object.fromEntries(taken.map((field) => [field.parameter, inputs[field.key]])), note);
  }

  function fits(field, value) {
    if (field.choices.length) return field.choices.includes(value);
    const type = { string: "string", number: "number", integer: "number", boolean: "boolean" }[field.value_type];
    if (type && typeof value !== type) return false;
    if (field.value_type === "array") return Array.isArray(value) && value.every((one) => typeof one === "string");
    if (type === "number") {
      const isWhole = field.value_type !== "integer" || Number.isInteger(value);
      return Number.isFinite(value) && isWhole && value >= (field.minimum ?? -Infinity) && value <= (field.maximum ?? Infinity);
    }
    return type !== "string" || ([...value].length <= (field.max_length ?? Infinity) && value.isWellFormed?.() !== false);
  }

  /** A button that asks for a picture. */
  function button() {
    const input = element("input", { type: "file", accept: "image/png,image/jpeg,image/webp", hidden: true, "aria-hidden": "true", tabindex: -1 });
    const face = element("button", { type: "button", class: "from-picture" }, words.settings_from_picture);
    face.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const [file] = input.files;
      input.value = "";
      if (file) take(file);
    });
    return element("span", {}, face, input);
  }

  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files || [])].find((one) => one.type.startsWith("image/"));
    if (!file || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    take(file);
  });
  document.addEventListener("dragover", (event) => {
    const types = [...event.dataTransfer.types];
    if (types.includes("Files") || types.includes("text/uri-list")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const own = OWN_FILE.exec(event.dataTransfer.getData("text/uri-list"));
    const [file] = event.dataTransfer.files;
    if (!own && !file) return;
    event.preventDefault();
    if (own) takeKnown({ file: own[1] });
    else take(file);
  });

  return { button };
})();
