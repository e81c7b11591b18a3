/* The rules of the browser's modules. tsc checks types and unknown names. */

const globals = Object.fromEntries(
  [
    "window", "document", "location", "history", "navigator", "localStorage", "sessionStorage", "console", "performance", "devicePixelRatio", "innerWidth", "innerHeight",
    "fetch", "Request", "Response", "Headers", "FormData", "URL", "URLSearchParams", "Blob", "File", "FileReader", "AbortSignal", "AbortController", "EventSource", "Notification",
    "setTimeout", "clearTimeout", "setInterval", "clearInterval", "requestAnimationFrame", "cancelAnimationFrame", "queueMicrotask", "structuredClone", "matchMedia", "getComputedStyle",
    "crypto", "TextDecoder", "TextEncoder", "DecompressionStream", "DOMParser", "Image", "createImageBitmap", "OffscreenCanvas", "getSelection", "caches", "self", "CSS",
    "Event", "EventTarget", "CustomEvent", "KeyboardEvent", "PointerEvent", "MouseEvent", "DOMPoint", "DOMRect", "WheelEvent", "TransformStream",
    "Node", "NodeList", "Element", "HTMLElement", "HTMLInputElement", "HTMLTextAreaElement", "HTMLSelectElement", "HTMLButtonElement", "HTMLDialogElement", "HTMLImageElement",
    "HTMLAnchorElement", "HTMLVideoElement", "SVGElement", "customElements", "MutationObserver", "IntersectionObserver", "ResizeObserver", "ClipboardItem", "DataTransfer",
  ].map((name) => [name, "readonly"]),
);

export default [
  {
    files: ["dreamina_ui/web/static/**/*.js"],
    ignores: ["**/head.js"],
    languageOptions: { ecmaVersion: 2025, sourceType: "module", globals },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-undef": "error",
      "no-unused-vars": ["error", { caughtErrors: "none" }],
      "no-implicit-globals": "error",
      "no-var": "error",
      "prefer-const": "error",
      "eqeqeq": "error",
      "no-eval": "error",
      "no-shadow": "error",
      "no-unreachable": "error",
      "no-dupe-keys": "error",
      "no-self-assign": "error",
      "no-fallthrough": "error",
      "no-cond-assign": "error",
      "no-import-assign": "error",
      "no-promise-executor-return": "off",
      "max-lines": ["error", { max: 300 }],
      "no-restricted-syntax": [
        "error",
        { selector: "AssignmentExpression[left.object.name=/^(window|globalThis|self)$/]", message: "No globals: export it from a module." },
        { selector: "MemberExpression[property.name=/^(innerHTML|outerHTML)$/]", message: "Build elements with core/dom.js: text is never HTML." },
      ],
    },
  },
];
