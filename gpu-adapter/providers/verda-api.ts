// Verda's control plane ([G] 1.1, 1.8): one OAuth token per credential, kept until shortly before its end and renewed by its refresh token; after a 429
// nobody calls again before the time the API named. Invariant: the credential travels to the token endpoint only, and into no message.
import type { Rejected, Unknown } from "../port.ts";
import { type Answered, call, type Called, faultOf, isOk, member, type Request, retryAfterMs, textMember } from "./http.ts";

export const VERDA_API = "https://api.verda.com/v1";
/** A token is renewed this long before its end (ms): a call begun with it must not outlive it. */
const RENEW_BEFORE_MS = 60_000;
/** Documented life of an access token, s; the answer's own `expires_in` counts. */
const TOKEN_LIFE_S = 3600;
const WHO = "Verda's API";

type Token = { access: string; refresh: string | null; endsAt: number };
/** By API address and client: pools of one account share a token and a rate limit, in whichever object they are asked for. */
const tokens = new Map<string, Token>();
const restUntil = new Map<string, number>();

export type VerdaApiParts = { baseUrl: string; /** `client_id:client_secret`, or null when the binding is missing. */ credential: string | null; credentialName: string | null; fetch: typeof fetch; now: () => number };
export type ApiAnswer = { ok: true; answer: Answered } | { ok: false; fault: Rejected | Unknown; status: number | null };

export class VerdaApi {
  readonly #parts: VerdaApiParts;
  /** One sign-in for calls that go out together. */
  #signing: Promise<Token | Rejected | Unknown> | null = null;

  constructor(parts: VerdaApiParts) {
    this.#parts = parts;
  }

  /** Calls with a valid token; a 401 renews the token once. Paths begin with a slash. */
  async call(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    const key = this.#key();
    if (key === null) return this.#unset();
    const rest = restUntil.get(key) ?? 0;
    if (rest > this.#parts.now()) return limited(rest - this.#parts.now());
    for (let tries = 0; ; tries++) {
      const token = await this.#token(key, tries > 0);
      if (!("access" in token)) return { ok: false, fault: token, status: null };
      const called = await this.#send({ method, url: `${this.#parts.baseUrl}${path}`, headers: { Authorization: `Bearer ${token.access}` }, ...(body === undefined ? {} : { body }) });
      if (called.kind === "failure" && called.status === 401 && tries === 0) continue;
      this.#heed(key, called);
      if (isOk(called)) return { ok: true, answer: called };
      return { ok: false, fault: faultOf(WHO, called, this.#parts.now()), status: called.kind === "failure" ? called.status : null };
    }
  }

  /** A route that needs no token (prices). */
  async open(path: string): Promise<ApiAnswer> {
    const called = await this.#send({ method: "GET", url: `${this.#parts.baseUrl}${path}` });
    return isOk(called) ? { ok: true, answer: called } : { ok: false, fault: faultOf(WHO, called, this.#parts.now()), status: null };
  }

  #send(request: Request): Promise<Called> {
    return call(this.#parts.fetch, request);
  }

  #key(): string | null {
    const { baseUrl, credential } = this.#parts;
    const cut = credential?.indexOf(":") ?? -1;
    return credential === null || cut < 1 ? null : `${baseUrl}|${credential.slice(0, cut)}`;
  }

  #unset(): ApiAnswer {
    const { credential, credentialName } = this.#parts;
    const message =
      credentialName === null
        ? "This pool names no secret for Verda's API (control_secret), so replicas, prices and logs cannot be asked for."
        : `The Worker's secret ${credentialName} ${credential === null ? "is not set" : "is not of the form client_id:client_secret"}. Set it: npx wrangler secret put ${credentialName}`;
    return { ok: false, fault: { outcome: "rejected", code: "provider_config", message }, status: null };
  }

  async #token(key: string, fresh: boolean): Promise<Token | Rejected | Unknown> {
    const known = tokens.get(key);
    if (known !== undefined && !fresh && known.endsAt - RENEW_BEFORE_MS > this.#parts.now()) return known;
    this.#signing ??= this.#signIn(key, fresh ? null : (known?.refresh ?? null)).finally(() => {
      this.#signing = null;
    });
    return await this.#signing;
  }

  async #signIn(key: string, refresh: string | null): Promise<Token | Rejected | Unknown> {
    if (refresh !== null) {
      const renewed = await this.#grant(key, { grant_type: "refresh_token", refresh_token: refresh });
      if ("access" in renewed) return renewed;
    }
    const credential = this.#parts.credential ?? "";
    const cut = credential.indexOf(":");
    return await this.#grant(key, { grant_type: "client_credentials", client_id: credential.slice(0, cut), client_secret: credential.slice(cut + 1) });
  }

  async #grant(key: string, body: object): Promise<Token | Rejected | Unknown> {
    const called = await this.#send({ method: "POST", url: `${this.#parts.baseUrl}/oauth2/token`, body });
    const access = isOk(called) ? textMember(called.json, "access_token") : null;
    if (!isOk(called) || access === null) {
      tokens.delete(key);
      this.#heed(key, called);
      // The token endpoint answers 400 to a wrong client (RFC 6749, 5.2): that is a fault of the key, not of our request.
      const fault = faultOf(`${WHO} (sign-in)`, called, this.#parts.now());
      return fault.outcome === "rejected" && fault.code === "provider_config" ? { ...fault, code: "provider_auth" } : fault;
    }
    const life = member(called.json, "expires_in");
    const token = { access, refresh: textMember(called.json, "refresh_token"), endsAt: this.#parts.now() + (typeof life === "number" ? life : TOKEN_LIFE_S) * 1000 };
    tokens.set(key, token);
    return token;
  }

  #heed(key: string, called: Called): void {
    if (called.kind !== "failure" || called.status !== 429) return;
    restUntil.set(key, this.#parts.now() + (retryAfterMs(called, this.#parts.now()) ?? 60_000));
  }
}

function limited(forMs: number): ApiAnswer {
  return { ok: false, fault: { outcome: "rejected", code: "provider_rate_limited", message: `${WHO} asked for a pause of ${Math.ceil(forMs / 1000)} s more.`, retryAfterMs: forMs }, status: 429 };
}
