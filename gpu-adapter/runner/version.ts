// The version the bundle was made from; `dev` when the sources run unbundled.

declare const RUNNER_VERSION: string | undefined;

export const VERSION = typeof RUNNER_VERSION === "string" ? RUNNER_VERSION : "dev";
