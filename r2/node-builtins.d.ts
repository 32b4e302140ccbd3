// The few Node built-ins the Worker uses, declared by hand: @types/node would also bring `process`, timers and a second `Response` into Worker code.
// workerd has them natively (nodejs_compat is on from compatibility date 2026-08-04).
declare module "node:crypto" {
  interface Hash {
    update(data: string | Uint8Array): Hash;
    digest(): Uint8Array;
    digest(encoding: "hex" | "base64url"): string;
  }
  export function createHmac(algorithm: "sha256", key: string | Uint8Array): Hash;
  export function createHash(algorithm: "sha256"): Hash;
  export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean;
}
