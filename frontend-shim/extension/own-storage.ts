// The script that gives each seat a browser storage of its own. Seats share one origin when they are told apart by path, and the stock page keeps unsaved
// workflows, open tabs and the clipboard in localStorage: whoever opened a second seat in the same browser would find the first one's work there.
// It runs as an ordinary ComfyUI extension, before the page opens any workflow, and stands in for `localStorage` and `sessionStorage` with views that see
// only keys below the seat's own path. Nothing of the frontend is changed. What the page read before (menu position, dismissed hints) is not one's work.

/** The module's text. `clientId` stays where it was: the page reads it before any extension runs, and a seat's socket cannot hear another seat's. */
export const OWN_STORAGE = `const mine = new URL("../../", import.meta.url).pathname + ":";
const shared = new Set(["clientId"]);

function ownView(storage) {
  const real = (key) => (shared.has(String(key)) ? String(key) : mine + key);
  const keys = () => Object.keys(storage).filter((key) => key.startsWith(mine)).map((key) => key.slice(mine.length));
  const methods = {
    getItem: (key) => storage.getItem(real(key)),
    setItem: (key, value) => storage.setItem(real(key), value),
    removeItem: (key) => storage.removeItem(real(key)),
    key: (index) => keys()[index] ?? null,
    clear: () => { for (const key of keys()) storage.removeItem(mine + key); },
  };
  const known = (key) => typeof key === "string" && methods.getItem(key) !== null;
  return new Proxy({}, {
    get: (_, key) => (key === "length" ? keys().length : typeof key !== "string" ? undefined : Object.hasOwn(methods, key) ? methods[key] : (methods.getItem(key) ?? undefined)),
    set: (_, key, value) => { methods.setItem(key, value); return true; },
    has: (_, key) => key === "length" || Object.hasOwn(methods, key) || known(key),
    deleteProperty: (_, key) => { methods.removeItem(key); return true; },
    ownKeys: () => keys(),
    getOwnPropertyDescriptor: (_, key) => (known(key) ? { value: methods.getItem(key), writable: true, enumerable: true, configurable: true } : undefined),
  });
}

for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, { value: ownView(window[name]), configurable: true, enumerable: true });
`;
