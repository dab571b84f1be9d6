"use strict";
// Draws every mask in the browser from its run-length code, so that filters act at once.
// `state`, `tip` and `describe` stand in page.js, which comes after this file in the same script.

const [COUNTS, IOU, STABILITY, AREA, LEVEL, NAME, ORIGIN] = [0, 1, 2, 3, 4, 5, 6];
const NO_MASK = 65535;
const DIMMED = 0.18;

// --- masks -------------------------------------------------------------------------------------

// COCO's compressed run lengths: five bits a character, each count from the third on as the
// difference to the count two before; runs go down the columns, background first.
function runLengths(text) {
  const counts = [];
  for (let at = 0; at < text.length; ) {
    let value = 0, shift = 0, more = true;
    while (more) {
      const bits = text.charCodeAt(at++) - 48;
      value |= (bits & 31) << shift;
      more = (bits & 32) !== 0;
      shift += 5;
      if (!more && bits & 16) value |= -1 << shift;
    }
    if (counts.length > 2) value += counts[counts.length - 2];
    counts.push(value);
  }
  return counts;
}

function fill(labels, photo, mask, label) {
  const runs = photo.runs[mask] ??= runLengths(photo.masks[mask][COUNTS]);
  const {tw, th} = photo;
  for (let i = 0, at = 0; i < runs.length; i++) {
    const end = at + runs[i];
    if (i & 1) for (let p = at; p < end; p++) labels[(p % th) * tw + ((p / th) | 0)] = label;
    at = end;
  }
}

// Hues a golden angle apart, so that neighbours in the list never look alike.
function colour(index) {
  const hue = (index * 137.508 + 205) % 360, light = [0.6, 0.53, 0.67][index % 3];
  const c = (1 - Math.abs(2 * light - 1)) * 0.86;
  const channel = n => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (light - (c / 2) * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

// --- a photo with its masks on a canvas ----------------------------------------------------------

class View {
  constructor(canvas, image) {
    this.canvas = canvas;
    this.image = image;
    this.pen = canvas.getContext("2d");
    this.photo = null;
    this.lit = -1;
  }

  show(photo) {
    this.photo = photo;
    this.lit = -1;
    this.image.src = photo.src;
    this.canvas.width = photo.tw;
    this.canvas.height = photo.th;
    this.pixels = this.pen.createImageData(photo.tw, photo.th);
    this.labels = new Uint16Array(photo.tw * photo.th);
    this.paint();
  }

  paint() {
    if (!this.photo) return;
    const {photo, labels} = this;
    labels.fill(NO_MASK);
    for (const mask of photo.order) if (photo.visible[mask]) fill(labels, photo, mask, mask);
    if (this.lit >= 0) fill(labels, photo, this.lit, this.lit);
    this.colourIn();
    this.pen.putImageData(this.pixels, 0, 0);
  }

  colourIn() {
    const {photo, labels, lit} = this, {tw, th} = photo, out = this.pixels.data;
    const strength = state.opacity;
    out.fill(0);
    for (let y = 0, p = 0; y < th; y++) {
      for (let x = 0; x < tw; x++, p++) {
        const label = labels[p];
        const edge = (x + 1 < tw && labels[p + 1] !== label) || (y + 1 < th && labels[p + tw] !== label)
          || (x > 0 && labels[p - 1] !== label) || (y > 0 && labels[p - tw] !== label);
        if (label === NO_MASK) continue;
        const rgb = photo.colours[label], o = p * 4;
        const loud = lit < 0 || label === lit;
        out[o] = edge ? rgb[0] * 0.55 + 115 : rgb[0];
        out[o + 1] = edge ? rgb[1] * 0.55 + 115 : rgb[1];
        out[o + 2] = edge ? rgb[2] * 0.55 + 115 : rgb[2];
        const alpha = label === lit ? Math.min(0.85, strength + 0.2) : strength;
        out[o + 3] = 255 * (loud ? 1 : DIMMED / 0.5) * (edge ? 0.95 : alpha);
      }
    }
  }

  light(mask) {
    if (mask === this.lit) return;
    this.lit = mask;
    this.paint();
  }

  // The mask under a pointer, or -1; the canvas is letter-boxed by object-fit: contain.
  maskAt(event) {
    const box = this.canvas.getBoundingClientRect(), {tw, th} = this.photo;
    const scale = Math.min(box.width / tw, box.height / th);
    const x = Math.floor((event.clientX - box.left - (box.width - tw * scale) / 2) / scale);
    const y = Math.floor((event.clientY - box.top - (box.height - th * scale) / 2) / scale);
    if (x < 0 || y < 0 || x >= tw || y >= th) return -1;
    const label = this.labels[y * tw + x];
    return label === NO_MASK ? -1 : label;
  }

  follow(element, onLight = () => {}) {
    element.addEventListener("pointermove", event => {
      const mask = this.maskAt(event);
      this.light(mask);
      onLight(mask);
      if (mask < 0) tip.hidden = true; else describe(this.photo, mask, event);
    });
    element.addEventListener("pointerleave", () => {
      this.light(-1);
      onLight(-1);
      tip.hidden = true;
    });
  }
}

