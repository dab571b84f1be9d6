// What the page is told by whoever serves it. Without a server all of it is files.

export interface PhotoEntry {
  readonly id: string;
  readonly name: string;
  /** Address of the photo. */
  readonly image: string;
  /** Address of its features, if a server made them. */
  readonly features?: string;
  /** Address of all its masks, if a server makes them. */
  readonly everything?: string;
}

export interface Settings {
  readonly mode: "demo" | "annotate";
  readonly model: string;
  readonly photos: readonly PhotoEntry[];
  readonly labels: readonly string[];
  /** Where people are asked for masks: how they are asked. */
  readonly queue?: {
    readonly kind: "assisted_manual" | "semi_automatic" | "verify";
    readonly instructions: string;
    readonly hintSeconds: number;
  };
}

export async function readSettings(): Promise<Settings> {
  const response = await fetch("settings.json", { cache: "no-cache" });
  if (response.status === 401) throw new Error("This page's address is missing its token.");
  if (!response.ok) throw new Error(`settings.json cannot be loaded (${response.status})`);
  return (await response.json()) as Settings;
}

/** Features as the server's embeddings hold them: a line of JSON, then 32-bit floats. */
export async function readFeatures(
  address: string,
): Promise<{ features: Float32Array; width: number; height: number; modelId: string }> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(await reasonOf(response));
  const bytes = new Uint8Array(await response.arrayBuffer());
  const end = bytes.indexOf(10);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  const [height, width] = head.original_hw;
  const features = new Float32Array(bytes.slice(end + 1).buffer);
  return { features, width, height, modelId: head.model_id };
}

/** What a server says that went wrong, as a sentence. */
export async function reasonOf(response: Response): Promise<string> {
  try {
    const { error } = await response.json();
    if (typeof error === "string") return error;
  } catch {
    // No JSON: the status has to do.
  }
  return `the server answered ${response.status}`;
}
