// @ts-check
/*
 * Zoom and pan of an image in an area of the window, apart from the DOM.
 *
 * A view is relative to the area, so that one view fits images of different sizes: `zoom` 1 shows the whole image as
 * large as possible; `x` and `y` (0 to 1) are the point of the image in the center of the area.
 */

/** @typedef {{width: number, height: number}} Size  CSS pixels of an area, or pixels of an image */
/** @typedef {{x: number, y: number}} Point  CSS pixels from the area's corner */
/** @typedef {{zoom: number, x: number, y: number}} View */
/** @typedef {{image: Size, area: Size, ratio: number}} Scene  `ratio`: screen pixels per CSS pixel */

/** @type {View} */
export const FIT = Object.freeze({ zoom: 1, x: 0.5, y: 0.5 });
const MAX_SCALE = 8; // screen pixels per pixel of the image
const STEP = 1.25;

/** CSS pixels per pixel of the image where all of it is shown.
 * @param {Scene} scene */
function fitScale({ image, area }) {
  return Math.min(area.width / image.width, area.height / image.height);
}

/** Screen pixels per pixel of the image: 1 is 100 %.
 * @param {View} view @param {Scene} scene */
export function scaleOf(view, scene) {
  return view.zoom * fitScale(scene) * scene.ratio;
}

/** The zoom at which one pixel of the image takes `scale` screen pixels.
 * @param {number} scale @param {Scene} scene */
export function zoomFor(scale, scene) {
  return scale / (fitScale(scene) * scene.ratio);
}

/** @param {number} value @param {number} least @param {number} most */
function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

/** The nearest view that shows no empty space beside an image that is larger than the area.
 * @param {View} view @param {Scene} scene @returns {View} */
export function clampView(view, scene) {
  const actual = zoomFor(1, scene);
  const zoom = clamp(view.zoom, Math.min(1, actual), Math.max(1, actual * MAX_SCALE));
  const scale = fitScale(scene) * zoom;
  const center = (/** @type {number} */ at, /** @type {number} */ length, /** @type {number} */ room) => {
    const shown = room / (length * scale);
    return shown >= 1 ? 0.5 : clamp(at, shown / 2, 1 - shown / 2);
  };
  const { image, area } = scene;
  return { zoom, x: center(view.x, image.width, area.width), y: center(view.y, image.height, area.height) };
}

/** Zoom so that the part of the image under `point` stays there.
 * @param {View} view @param {number} zoom @param {Point} point @param {Scene} scene */
export function zoomAt(view, zoom, point, scene) {
  const limited = clampView({ ...view, zoom }, scene).zoom;
  const { image, area } = scene;
  const fit = fitScale(scene);
  const shift = 1 / (fit * view.zoom) - 1 / (fit * limited);
  const x = view.x + ((point.x - area.width / 2) / image.width) * shift;
  const y = view.y + ((point.y - area.height / 2) / image.height) * shift;
  return clampView({ zoom: limited, x, y }, scene);
}

/** Move the image by CSS pixels.
 * @param {View} view @param {number} dx @param {number} dy @param {Scene} scene */
export function pan(view, dx, dy, scene) {
  const scale = fitScale(scene) * view.zoom;
  const { width, height } = scene.image;
  return clampView({ zoom: view.zoom, x: view.x - dx / (width * scale), y: view.y - dy / (height * scale) }, scene);
}

/** From the whole image to 100 % at a point, and back; an image that fits at 100 % goes to 200 %.
 * @param {View} view @param {Point} point @param {Scene} scene */
export function toggle(view, point, scene) {
  if (!isFit(view)) return FIT;
  const actual = zoomFor(1, scene);
  return zoomAt(view, Math.abs(actual - 1) < 0.02 ? 2 * actual : actual, point, scene);
}

/** One step larger or smaller; a step does not jump over 100 % or the whole image.
 * @param {View} view @param {1 | -1} direction @param {Point} point @param {Scene} scene */
export function step(view, direction, point, scene) {
  const next = view.zoom * STEP ** direction;
  const between = [1, zoomFor(1, scene)].filter((stop) => (stop - view.zoom) * (stop - next) < -1e-9);
  return zoomAt(view, between.length ? between[0] : next, point, scene);
}

/** @param {View} view */
export function isFit(view) {
  return Math.abs(view.zoom - 1) < 1e-6;
}

/** Where the image is in the area, in CSS pixels that fall on screen pixels.
 * @param {View} view @param {Scene} scene */
export function placeImage(view, scene) {
  const { image, area, ratio } = scene;
  const scale = fitScale(scene) * view.zoom;
  const round = (/** @type {number} */ value) => Math.round(value * ratio) / ratio;
  const width = image.width * scale;
  const height = image.height * scale;
  return {
    left: round(area.width / 2 - view.x * width),
    top: round(area.height / 2 - view.y * height),
    width: round(width),
    height: round(height),
  };
}

/** Whether the image can move left (-1) or right (1) within the area.
 * @param {View} view @param {number} direction @param {Scene} scene */
export function canPan(view, direction, scene) {
  return Math.abs(pan(view, direction, 0, scene).x - view.x) > 1e-9;
}

/** The smallest of an image's copies that is sharp in a view.
 * @param {View} view @param {Scene} scene
 * @param {{name: string, px: number}[]} copies `px`: the length of the longer side at most, from small to large
 * @returns {string} */
export function sharpCopy(view, scene, copies) {
  const longest = Math.max(scene.image.width, scene.image.height);
  const needed = Math.min(longest, longest * scaleOf(view, scene));
  const match = copies.find(({ px }) => Math.min(px, longest) * 1.05 >= needed);
  return (match ?? copies[copies.length - 1]).name;
}

/** How many columns show `count` images of a shape largest.
 * @param {number} count @param {Size} image @param {Size} area */
export function columnsFor(count, image, area) {
  const widthWith = (/** @type {number} */ columns) => {
    const rows = Math.ceil(count / columns);
    return Math.min(area.width / columns, (area.height / rows) * (image.width / image.height));
  };
  const choices = Array.from({ length: count }, (_, index) => index + 1);
  return choices.reduce((best, columns) => (widthWith(columns) > widthWith(best) + 1e-6 ? columns : best), 1);
}
