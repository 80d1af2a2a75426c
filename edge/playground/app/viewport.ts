/** Where a picture lies in a pane: `pane = picture · scale + (x, y)`, in CSS pixels. */
export interface Size {
  width: number;
  height: number;
}
export interface Place {
  scale: number;
  x: number;
  y: number;
}
export interface Box extends Size {
  x: number;
  y: number;
}

/** Single pixels are 40 CSS pixels wide then: enough to count them. */
const largest = 40;
/** Part of the pane that a region takes when it is looked at. */
const regionShare = 0.45;

/** The whole picture in the middle; small pictures at most twice their size. */
export function fit(picture: Size, pane: Size): Place {
  const scale = Math.min(pane.width / picture.width, pane.height / picture.height, 2);
  return {
    scale,
    x: (pane.width - picture.width * scale) / 2,
    y: (pane.height - picture.height * scale) / 2,
  };
}

/** Keeps the picture in the pane: centred where it is smaller, without gaps where it is larger. */
export function settle(place: Place, picture: Size, pane: Size): Place {
  const least = fit(picture, pane).scale;
  const scale = Math.min(Math.max(place.scale, least), Math.max(largest, least));
  const along = (offset: number, length: number, room: number) =>
    length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, offset));
  return {
    scale,
    x: along(place.x, picture.width * scale, pane.width),
    y: along(place.y, picture.height * scale, pane.height),
  };
}

/** Zooms by `factor` around a point of the pane, which stays where it is. */
export function zoom(place: Place, factor: number, at: { x: number; y: number }, picture: Size, pane: Size): Place {
  const least = fit(picture, pane).scale;
  const scale = Math.min(Math.max(place.scale * factor, least), Math.max(largest, least));
  const ratio = scale / place.scale;
  return settle({ scale, x: at.x - (at.x - place.x) * ratio, y: at.y - (at.y - place.y) * ratio }, picture, pane);
}

/** Shows `box` of the picture in the middle, with what is around it. */
export function lookAt(box: Box, picture: Size, pane: Size): Place {
  const wanted = regionShare * Math.min(pane.width / box.width, pane.height / box.height);
  const scale = Math.min(Math.max(wanted, fit(picture, pane).scale), 8);
  return settle(
    {
      scale,
      x: pane.width / 2 - (box.x + box.width / 2) * scale,
      y: pane.height / 2 - (box.y + box.height / 2) * scale,
    },
    picture,
    pane,
  );
}

/** The part of the picture that the pane shows, in whole pixels of the picture. */
export function visible(place: Place, picture: Size, pane: Size): Box {
  const left = Math.max(0, Math.floor(-place.x / place.scale));
  const top = Math.max(0, Math.floor(-place.y / place.scale));
  const right = Math.min(picture.width, Math.ceil((pane.width - place.x) / place.scale));
  const bottom = Math.min(picture.height, Math.ceil((pane.height - place.y) / place.scale));
  return { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
}
