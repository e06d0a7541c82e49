// Images and class maps, computed like brainslice.inference (heat_map.upsample, overlay.apply_colormap, draw_overlay).

const STOPS = [
  [20, 14, 54], [38, 13, 80], [61, 8, 102], [87, 3, 116], [115, 1, 121], [142, 1, 118], [169, 1, 111], [195, 11, 101], [218, 34, 89],
  [237, 63, 78], [251, 92, 70], [255, 123, 76], [255, 150, 92], [255, 175, 108], [255, 199, 127], [255, 224, 149], [254, 248, 168],
];

/** Return the PNG file in a data URL, without a network request. */
export function pngOf(address) {
  const bytes = Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}

/** Decode an image from a data URL. */
export async function decode(address) {
  const bitmap = await createImageBitmap(pngOf(address), { colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

/** The colour of a level, 0 to 1. */
export function colour(level) {
  const place = Math.min(Math.max(level, 0), 1) * (STOPS.length - 1);
  const below = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[below].map((from, channel) => from + (place - below) * (STOPS[below + 1][channel] - from));
}

/** Upsample a map (list of rows) bilinearly, with values at cell centres. */
export function upsample(grid, width, height) {
  const rows = grid.length, columns = grid[0].length;
  const across = weights(columns, width), down = weights(rows, height);
  const levels = new Float32Array(width * height);
  for (let y = 0; y < height; y += 1) {
    const [top, bottom, low] = down[y];
    for (let x = 0; x < width; x += 1) {
      const [left, right, far] = across[x];
      const above = grid[top][left] * (1 - far) + grid[top][right] * far;
      const below = grid[bottom][left] * (1 - far) + grid[bottom][right] * far;
      levels[y * width + x] = above * (1 - low) + below * low;
    }
  }
  return levels;
}

function weights(cells, pixels) {
  return Array.from({ length: pixels }, (_, pixel) => {
    const centre = Math.min(Math.max(((pixel + 0.5) * cells) / pixels - 0.5, 0), cells - 1);
    const before = Math.min(Math.floor(centre), Math.max(cells - 2, 0));
    return [before, Math.min(before + 1, cells - 1), centre - before];
  });
}

/** Blend a class map over the network input; opacity 0 leaves it unchanged. */
export function overlay(seen, grid, opacity) {
  const laid = new ImageData(new Uint8ClampedArray(seen.data), seen.width, seen.height);
  const levels = upsample(grid, seen.width, seen.height);
  const strongest = levels.reduce((most, level) => Math.max(most, level), 0);
  if (opacity === 0 || strongest === 0) return laid;
  levels.forEach((level, pixel) => {
    const cover = opacity * Math.sqrt(level / strongest);
    colour(level / strongest).forEach((tint, channel) => {
      const place = 4 * pixel + channel;
      laid.data[place] = Math.round((1 - cover) * laid.data[place] + cover * tint);
    });
  });
  return laid;
}

/** Draw an image on a canvas of its size. */
export function put(canvas, picture) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** Decode the images of a response of /explain or of a slice. */
export async function picturesOf(answer) {
  const [original, seen] = await Promise.all([decode(answer.original), decode(answer.network_input)]);
  return { original, seen, maps: answer.maps };
}

/** Draw a centred thumbnail. */
export function thumbnail(canvas, picture) {
  const whole = new OffscreenCanvas(picture.width, picture.height);
  whole.getContext("2d").putImageData(picture, 0, 0);
  const scale = Math.min(canvas.width / picture.width, canvas.height / picture.height);
  const width = picture.width * scale, height = picture.height * scale;
  canvas.getContext("2d").drawImage(whole, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
}

/** Apply window and level (shares of 255). */
export function windowed(picture, level, width) {
  if (level === 0.5 && width === 1) return picture;
  const shown = new ImageData(new Uint8ClampedArray(picture.data), picture.width, picture.height);
  const low = 255 * (level - width / 2);
  for (let place = 0; place < shown.data.length; place += 1) {
    if (place % 4 !== 3) shown.data[place] = Math.round((shown.data[place] - low) / width);
  }
  return shown;
}
