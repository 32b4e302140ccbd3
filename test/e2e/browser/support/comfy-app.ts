// What the suite touches of the stock page's own `window.app`, which a person with developer tools has too. The members exist in both frontends.

export type ComfyWidget = { name: string; value: unknown; callback?: (value: unknown) => unknown; options?: { values?: unknown } };
export type ComfyNode = {
  id: number;
  type: string;
  title: string;
  progress?: number;
  imgs?: { src: string; naturalWidth: number; complete: boolean }[];
  has_errors?: boolean;
  inputs?: { name: string; hasErrors?: boolean }[];
  widgets?: ComfyWidget[];
};

export type ComfyApp = {
  vueAppReady: boolean;
  graph: { nodes: ComfyNode[]; serialize(): unknown };
  canvas: { selectNode(node: ComfyNode): void; setDirty(front: boolean, back: boolean): void };
  api: { clientId?: string; socket: { readyState: number } | null; fetchApi(route: string): Promise<Response> };
  nodePreviewImages: Record<string, string[]>;
  extensionManager: { command: { execute(id: string): Promise<void> } };
  /** Opens a graph in ComfyUI's API format in a tab of this name. */
  loadApiJson(graph: unknown, name: string): unknown;
};

declare global {
  interface Window {
    app: ComfyApp;
  }
}
