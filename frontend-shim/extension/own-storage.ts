// The script that gives each seat unsaved work of its own. Seats share one origin when they are told apart by path, and the stock page keeps unsaved
// workflows, the tabs they are open in and the clipboard in the browser's storage: whoever opened a second seat in the same browser, or sat down after
// somebody else, would find the first one's work there. The script is an ordinary ComfyUI extension, loaded before the page opens any workflow. It stands
// in for `localStorage` and `sessionStorage` with views in which those keys, and only those, lie below the seat's own path. The frontend is not changed.

/**
 * The module's text. `WORK` names what 1.37 (`workflow`, `Comfy.PreviousWorkflow`) and 1.58 (`Comfy.Workflow.Draft...`, open and active paths) keep of a
 * person's work; all of it is first read after extensions have run. Everything else stays shared, since the page reads some of it earlier than that.
 */
export const OWN_STORAGE = `const WORK = /^(?:workflow(?::|$)|Comfy\\.PreviousWorkflow|Comfy\\.Workflow\\.|litegrapheditor_clipboard$)/;
const MARK = "seat:";
const mine = MARK + new URL("../../", import.meta.url).pathname + ":";

function ownView(storage) {
  const real = (key) => (WORK.test(key) ? mine + key : String(key));
  const seen = (key) => (key.startsWith(mine) ? key.slice(mine.length) : key.startsWith(MARK) || WORK.test(key) ? null : key);
  const keys = () => Object.keys(storage).map(seen).filter((key) => key !== null);
  const methods = {
    getItem: (key) => storage.getItem(real(key)),
    setItem: (key, value) => storage.setItem(real(key), value),
    removeItem: (key) => storage.removeItem(real(key)),
    key: (index) => keys()[index] ?? null,
    clear: () => { for (const key of keys()) storage.removeItem(real(key)); },
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
