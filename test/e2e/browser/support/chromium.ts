// The same browser that the bench and the screenshots use.
export { launchChromium } from "../../../../scripts/chromium.ts";
