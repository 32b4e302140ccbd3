// The type of a file by its ending, as ComfyUI (Python's `mimetypes`) tells it: what an upload's own headers claim is not asked.

const TYPES: { readonly [extension: string]: string } = {
  png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", jfif: "image/jpeg", webp: "image/webp", gif: "image/gif", bmp: "image/bmp", tif: "image/tiff", tiff: "image/tiff", avif: "image/avif",
  svg: "image/svg+xml", ico: "image/vnd.microsoft.icon", exr: "image/x-exr", hdr: "image/vnd.radiance", apng: "image/apng", heic: "image/heic",
  mp4: "video/mp4", m4v: "video/mp4", webm: "video/webm", mov: "video/quicktime", mkv: "video/x-matroska", avi: "video/x-msvideo", ogv: "video/ogg", mpg: "video/mpeg", mpeg: "video/mpeg",
  mp3: "audio/mpeg", wav: "audio/x-wav", flac: "audio/flac", ogg: "audio/ogg", opus: "audio/opus", m4a: "audio/mp4", aac: "audio/aac", aif: "audio/x-aiff", aiff: "audio/x-aiff",
  glb: "model/gltf-binary", gltf: "model/gltf+json", obj: "model/obj", stl: "model/stl", ply: "application/octet-stream", fbx: "application/octet-stream",
  json: "application/json", txt: "text/plain; charset=utf-8", md: "text/markdown; charset=utf-8", csv: "text/csv; charset=utf-8", html: "text/html", htm: "text/html", xhtml: "application/xhtml+xml",
  css: "text/css", js: "text/javascript", mjs: "text/javascript", xml: "text/xml", pdf: "application/pdf", zip: "application/zip",
};

export function typeByName(name: string): string {
  const extension = /\.([A-Za-z0-9]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  return (Object.hasOwn(TYPES, extension) ? TYPES[extension] : undefined) ?? "application/octet-stream";
}
