// Fetching the model and its runtime: with progress, kept in the browser's cache, unpacked here.

const CACHE = "mask-engine-1";

export type Progress = (bytes: number) => void;

/** The bytes at an address; `version` is part of the cache's key, so that a new file is fetched. */
export async function download(
  address: string,
  version: string,
  progress: Progress,
): Promise<Uint8Array> {
  const key = `${address}?v=${version}`;
  const cache = await openCache();
  const kept = version ? await cache?.match(key) : undefined;
  if (kept) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    progress(bytes.length);
    return bytes;
  }
  const response = await fetch(key);
  if (!response.ok || !response.body) {
    throw new Error(`${address} cannot be loaded (${response.status})`);
  }
  const bytes = await read(response.body, progress);
  if (version) {
    await cache?.put(key, new Response(bytes as Uint8Array<ArrayBuffer>)).catch(() => undefined);
  }
  return bytes;
}

/** The content of a gzip file. */
export async function unpacked(packed: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([packed as Uint8Array<ArrayBuffer>]).stream();
  const plain = stream.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

async function openCache(): Promise<Cache | undefined> {
  return "caches" in globalThis ? caches.open(CACHE).catch(() => undefined) : undefined;
}

async function read(body: ReadableStream<Uint8Array>, progress: Progress): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    progress(value.length);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
